"""From which sessions clients are answered, and the steps to it. Pure.

Of every model and version one session is offered: that of the first deployment that wants it, by name. The session is
the one that the deployment's pipelines use. A new session is offered before the one that it relieves is withdrawn, so
that a client finds its model at every moment. How the session comes to be loaded is decided in `intent.py`.
"""

from collections.abc import Mapping, Sequence

from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.intent import Intent
from edge_node.supervisor.steps import Offer, StartServing, Step, StopServing, Wait, Withdraw
from protos.deployment import Serving
from protos.desired import DesiredDeployment

FORBIDDEN = "this node serves no clients: its edge-node.toml says [serving] enabled = false"


def serving_of(target: DesiredDeployment, serve: bool | None) -> Serving | None:
    """How clients of a deployment's model are to be answered, None for not at all.

    Args:
        target: the deployment.
        serve: the node's own word: False never, True always, None as the deployment says.
    """
    asked = target.serving
    if serve is False or (asked is None and not serve) or (asked is not None and not asked.enabled):
        return None
    return asked or Serving()


def offering(intents: Sequence[Intent], actual: Actual, facts: Facts) -> list[Step]:
    """Start the serving process, offer, withdraw, stop: what of it can be begun now."""
    refused: list[Step] = [
        Wait(one.target.name, FORBIDDEN, failed=True)
        for one in intents
        if facts.serve is False and serving_of(one.target, None) is not None
    ]
    someone = next((one.target.name for one in intents if serving_of(one.target, facts.serve) is not None), None)
    if someone is not None and not actual.serving:
        return [*refused, StartServing(someone)]
    if someone is None and actual.serving and not actual.offered:
        return [*refused, StopServing("")]
    wanted = _wanted(intents, facts)
    missing = {session: name for session, name in wanted.items() if not _is_offered(session, name, actual)}
    return [
        *refused,
        *(Offer(name, session) for session, name in missing.items()),
        *_withdrawals(wanted, {session.model for session in missing} | _coming(intents, facts), actual),
    ]


def _wanted(intents: Sequence[Intent], facts: Facts) -> dict[Session, str]:
    """What should be offered now, and for which deployment."""
    taken: dict[tuple[str, int], tuple[Session, str]] = {}
    for one in intents:
        if one.session is not None and serving_of(one.target, facts.serve) is not None:
            taken.setdefault((one.session.model, one.session.version), (one.session, one.target.name))
    return dict(taken.values())


def _is_offered(session: Session, deployment: str, actual: Actual) -> bool:
    offered = actual.offered.get(session)
    return offered is not None and offered.connected and offered.deployment == deployment


def _coming(intents: Sequence[Intent], facts: Facts) -> set[str]:
    """The models of which a session is on its way, with nothing to be stopped before."""
    waiting = (one for one in intents if one.session is None and not one.alone)
    return {one.target.model for one in waiting if serving_of(one.target, facts.serve) is not None}


def _withdrawals(wanted: Mapping[Session, str], ahead: set[str], actual: Actual) -> list[Step]:
    """Withdraw what is not wanted, of each model once what relieves it is offered."""
    rest = [session for session in actual.offered if session not in wanted and session.model not in ahead]
    return [Withdraw("", session) for session in sorted(rest, key=lambda session: session.key)]
