"""Labels of the new version's answers, for the gate that asks for them. They are in another database."""

from collections.abc import Callable
from datetime import datetime

from coordinator.rollouts.judging import gates_of
from coordinator.rollouts.records import Rollout, Truth
from protos.deployment import model_version

Truths = Callable[[str, int, datetime], tuple[Truth, ...]]
"""The labelled answers of a model's version since a time."""


def no_truths(_model: str, _version: int, _since: datetime) -> tuple[Truth, ...]:
    """Where there are no labels."""
    return ()


def truths_of(rollout: Rollout, read: Truths) -> tuple[Truth, ...]:
    """The labelled answers of its new version, where one of its gates asks for them."""
    if not any(gate.metric == "accuracy" for gate in gates_of(rollout.spec.gates, "service")):
        return ()
    return read(*model_version(rollout.after.model), rollout.created_at)
