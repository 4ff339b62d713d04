"""Which sessions a dead worker died of. Pure.

A load that was under way is to blame first; its own failure already holds it back, so nobody else is blamed. Else what
served and has not passed its probation; else all that served, since nothing tells them apart from outside.
"""

from collections.abc import Collection

from edge_node.supervisor.actual import Actual, Session
from edge_node.supervisor.steps import Load, Step


def blamed(actual: Actual, under_way: Collection[Step]) -> frozenset[Session]:
    """The sessions to hold back for a while; `actual` is the state before the worker died."""
    if any(isinstance(step, Load) for step in under_way):
        return frozenset()
    serving = frozenset(running.session for running in actual.pipelines.values())
    serving |= {session for session, offered in actual.offered.items() if offered.connected}
    good = {version.digest for version in actual.last_good.values()}
    on_probation = frozenset(session for session in serving if session.digest not in good)
    return on_probation or serving
