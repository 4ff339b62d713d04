"""Which sessions a dead worker died of. Pure.

What was being loaded is to blame first; else what served and has not passed its probation; else all that served, since
nothing tells them apart from outside.
"""

from collections.abc import Collection

from edge_node.supervisor.actual import Actual, Session
from edge_node.supervisor.steps import Load, Step


def blamed(actual: Actual, under_way: Collection[Step]) -> frozenset[Session]:
    """The sessions to hold back for a while; `actual` is the state before the worker died."""
    loading = frozenset(step.session for step in under_way if isinstance(step, Load))
    serving = frozenset(running.session for running in actual.pipelines.values())
    good = {version.digest for version in actual.last_good.values()}
    on_probation = frozenset(session for session in serving if session.digest not in good)
    return loading or on_probation or serving
