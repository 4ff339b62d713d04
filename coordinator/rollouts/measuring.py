"""A number that somebody outside measured of the new version becomes part of its rollout. Pure."""

import math
from dataclasses import replace
from datetime import datetime

from coordinator.errors import BadInput, Conflict
from coordinator.rollouts.gates import parse_gate
from coordinator.rollouts.metrics import METRICS
from coordinator.rollouts.records import Decision, Event, Measure, Rollout
from coordinator.rollouts.states import ENDED

BY_NODES = METRICS.keys() - {"accuracy"}
"""What only nodes measure. Accuracy is of labels; where none arrive here, somebody may have them elsewhere."""


def measured(rollout: Rollout, name: str, measure: Measure, by: str, now: datetime) -> Decision:
    """The rollout with the newest value of a metric; `advance` asks the gates that name it.

    Raises:
        Conflict: the rollout has ended.
        BadInput: nodes measure what is called that, no gate asks for it, or the value is none.
    """
    if rollout.state in ENDED:
        raise Conflict(f"rollout {rollout.id} is {rollout.state}: nothing is decided by a measure any more")
    asked = [gate for gate in (parse_gate(text, "gate") for text in rollout.spec.gates) if gate.metric == name]
    if name in BY_NODES:
        raise BadInput(f"{name!r} is what nodes measure themselves: {METRICS[name].statistic}")
    if not asked:
        known = sorted({parse_gate(text, "gate").metric for text in rollout.spec.gates} - BY_NODES)
        raise BadInput(f"no gate of rollout {rollout.id} asks for {name!r}; of outside: {', '.join(known) or 'none'}")
    if not math.isfinite(measure.value) or measure.samples < 1:
        raise BadInput(
            f"{name}={measure.value:g} of {measure.samples} samples: give a finite number, of at least 1 sample"
        )
    text = f"{by}: {name} is {measure.value:g} ({measure.samples} samples)"
    detail = {"order": "measure", "by": by, "name": name, "value": measure.value, "samples": measure.samples}
    changed = replace(rollout, measures={**rollout.measures, name: measure})
    return Decision(changed, events=(Event(now, "order", text, detail),))
