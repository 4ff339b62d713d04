"""What clients of this node are told that there is to ask: the repository's index, and whether the node is ready. Pure.

Ready says that every model that should answer does, with whichever version: a new one on its way, or one that failed,
takes nothing from clients.
"""

from collections.abc import Sequence

from edge_node.serving.control import Index, ModelState
from edge_node.supervisor.actual import Actual
from edge_node.supervisor.offering import serving_of
from edge_node.supervisor.reported import phase_of
from edge_node.supervisor.steps import Step
from protos.desired import Desired, DesiredDeployment


def index_of(desired: Desired | None, actual: Actual, plan: Sequence[Step], serve: bool | None) -> Index:
    """The index.

    Args:
        desired: what the node should run.
        actual: what it has and does.
        plan: the newest plan, whose waits are the reasons.
        serve: the node's own word; see `Facts`.
    """
    targets = [one for one in (() if desired is None else desired.deployments) if serving_of(one, serve) is not None]
    answering = {(session.model, str(session.version)) for session, one in actual.offered.items() if one.connected}
    states = {place: ModelState(*place, "READY", **_standing(place, actual)) for place in sorted(answering)}
    for target in targets:
        place = target.model, str(target.version)
        states.setdefault(place, _coming(target, actual, plan))
    answered = {model for model, _ in answering}
    return Index(tuple(states.values()), ready=all(target.model in answered for target in targets))


def _standing(place: tuple[str, str], actual: Actual) -> dict[str, str]:
    """What the sessions of a model's version run on, and from what they fell back."""
    sessions = [one for one in actual.offered if (one.model, str(one.version)) == place]
    known = [actual.standing[one.key] for one in sessions if one.key in actual.standing]
    worst = next((one for one in known if one.fell), known[0] if known else None)
    return (
        {}
        if worst is None
        else {
            "on": f"{worst.engine}/{worst.accelerator}",
            "fell": worst.fell,
            "reason": worst.fell,
        }
    )


def _coming(target: DesiredDeployment, actual: Actual, plan: Sequence[Step]) -> ModelState:
    phase, reason = phase_of(target, actual, plan)
    state = ModelState(target.model, str(target.version), "LOADING")
    return ModelState(target.model, str(target.version), "UNAVAILABLE", reason) if phase == "failed" else state
