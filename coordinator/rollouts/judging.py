"""Whose evidence each gate is asked of: a wave's members together, and each slice of them. Pure.

What is counted of a member is what its node says of this very attempt; so nothing of an earlier one is mixed in.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from coordinator.rollouts.gates import Gate, Outcome, Verdict, judge, metric_of, parse_gate
from coordinator.rollouts.metrics import EXTERNAL, Sample
from coordinator.rollouts.records import Member, Rollout, Truth, View
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import HAS_NEW, Stage
from coordinator.rollouts.sums import Sum
from coordinator.rollouts.weighing import weighed
from protos.evidence import Evidence, ReportedShadow, ReportedTrial
from protos.identity import NodeId

OF_EVIDENCE = ("pipeline", "shift")
"""Slices that a node counts apart; any other divides the nodes: by site, or by a label."""


@dataclass(frozen=True)
class Part:
    """What one node brings. Without a report it counts as a node and brings no evidence."""

    view: View
    failed: bool = False
    has_new: bool = False
    trial: ReportedTrial | None = None
    shadow: ReportedShadow | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Of the candidate."""
        said = self.trial or self.shadow
        return () if said is None else said.evidence

    @property
    def has_answered(self) -> bool:
        """Whether there is anything to count."""
        return any(one.samples or one.errors for one in self.evidence)

    @property
    def reference(self) -> tuple[Evidence, ...]:
        """Of the version before."""
        said = self.trial or self.shadow
        return () if said is None else said.reference


def service_verdicts(rollout: Rollout, members: Iterable[Member], views: Mapping[NodeId, View]) -> tuple[Verdict, ...]:
    """What the gates say of the version in service on these members: those of a wave."""
    gates = gates_of(rollout.spec.gates, "service")
    return _verdicts(rollout, gates, [_serving(rollout, member, views[member.node]) for member in members])


def shadow_verdicts(rollout: Rollout, members: Iterable[Member], views: Mapping[NodeId, View]) -> tuple[Verdict, ...]:
    """What the gates say of the candidate beside the version before on these members: those of the canary."""
    gates = gates_of(rollout.spec.gates, "shadow")
    shadowing = [member for member in members if member.stage is Stage.SHADOWING]
    return _verdicts(rollout, gates, [_shadowing(rollout, member, views[member.node]) for member in shadowing])


def outcome_of(verdicts: Iterable[Verdict]) -> Outcome:
    """All together: one that fails is enough, and so is one that waits where none fails."""
    outcomes = {verdict.outcome for verdict in verdicts}
    return next((outcome for outcome in (Outcome.FAILED, Outcome.WAITING) if outcome in outcomes), Outcome.PASSED)


@lru_cache(maxsize=256)
def gates_of(texts: tuple[str, ...], when: str) -> tuple[Gate, ...]:
    """The gates of a specification that can be asked of the candidate in the shadow, or in service."""
    gates = (parse_gate(text, "gate") for text in texts)
    return tuple(gate for gate in gates if when in metric_of(gate).when)


def _serving(rollout: Rollout, member: Member, view: View) -> Part:
    trial = view.trial
    counts = trial is not None and (trial.rollout, trial.attempt) == (rollout.id, member.attempt)
    return Part(view, member.stage is Stage.FAILED, member.stage in HAS_NEW, trial=trial if counts else None)


def _shadowing(rollout: Rollout, member: Member, view: View) -> Part:
    shadow = view.shadow
    counts = shadow is not None and (shadow.rollout, shadow.attempt) == (rollout.id, member.attempt)
    return Part(view, has_new=True, shadow=shadow if counts else None)


def _verdicts(rollout: Rollout, gates: tuple[Gate, ...], parts: list[Part]) -> tuple[Verdict, ...]:
    if not gates:
        return ()
    spec = rollout.spec
    whole = _sample(rollout, parts)
    found = [judge(gate, whole, spec.min_samples) for gate in gates]
    for one in _slices(rollout, parts):
        asked = (gate for gate in gates if _divides(gate, whole, one))
        found += [judge(gate, replace(one.sample, measures={}), spec.min_samples, one.name) for gate in asked]
    return tuple(found)


def _divides(gate: Gate, whole: Sample, one: "_Slice") -> bool:
    """Whether a gate can be asked of a slice: what nodes count is not counted by pipeline, what others measured not at
    all; and where every node has failed no answers will come.
    """
    metric = metric_of(gate)
    if metric.read is EXTERNAL.read or (gate.metric == "accuracy" and not whole.labelled):
        return False
    return one.answers if metric.counts_answers else one.of_nodes


@dataclass(frozen=True)
class _Slice:
    name: str
    sample: Sample
    of_nodes: bool
    """else of the evidence of all of them"""
    answers: bool = True
    """whether any can be expected"""


def _slices(rollout: Rollout, parts: list[Part]) -> Iterable[_Slice]:
    for kind in rollout.spec.slices:
        if kind in OF_EVIDENCE:
            for value in sorted({getattr(one, kind) for part in parts for one in part.evidence}):
                yield _Slice(f"{kind}={value}", _sample(rollout, parts, _only(kind, value)), of_nodes=False)
        else:
            groups: dict[str, list[Part]] = {}
            for part in parts:
                groups.setdefault(_group(part.view, kind), []).append(part)
            for value in sorted(groups):
                answers = any(not part.failed for part in groups[value])
                yield _Slice(f"{kind}={value}", _sample(rollout, groups[value]), of_nodes=True, answers=answers)


def _group(view: View, kind: str) -> str:
    return view.site if kind == "site" else view.labels.get(kind, "")


def _only(kind: str, value: str) -> Callable[[Evidence | Truth], bool]:
    """What counts for a slice; labels know of no shift."""
    return lambda evidence: bool(getattr(evidence, kind, None) == value)


def _sample(rollout: Rollout, parts: list[Part], counts: Callable[[Evidence | Truth], bool] | None = None) -> Sample:
    truths = [one for part in parts for one in part.view.truths if counts is None or counts(one)]
    trials = [part.trial for part in parts if part.trial is not None]
    shadows = [part.shadow for part in parts if part.shadow is not None]
    returned = sum(part.failed or (part.trial is not None and part.trial.state == "returned") for part in parts)
    return Sample(
        evidence=Sum(weighed(_counted(part.evidence, counts) for part in parts)),
        reference=Sum(weighed(_counted(part.reference, counts) for part in parts)),
        nodes=len(parts),
        heard=sum(part.has_new and part.has_answered for part in parts),
        silent=sum(part.has_new and not part.has_answered for part in parts),
        returned=returned,
        fell=sum(bool(trial.fell) for trial in trials),
        restarts=sum(trial.restarts for trial in trials),
        memory_mb=max([trial.memory_mb for trial in trials] + [shadow.memory_mb for shadow in shadows], default=None),
        labelled=sum(one.labelled for one in truths),
        right=sum(one.right for one in truths),
        measures=rollout.measures,
    )


def _counted(evidence: tuple[Evidence, ...], counts: Callable[[Evidence | Truth], bool] | None) -> tuple[Evidence, ...]:
    return evidence if counts is None else tuple(one for one in evidence if counts(one))


def present(members: Iterable[Member]) -> list[Member]:
    """Those that a wave's gates count as its nodes: they are there."""
    return [member for member in members if member.stage not in (Stage.ABSENT, Stage.LEFT)]


def needs_shadow(spec: RolloutSpec) -> str:
    """The first gate that only a shadow can decide; empty where there is none."""
    gates = (parse_gate(text, "gate") for text in spec.gates)
    return next((str(gate) for gate in gates if "service" not in metric_of(gate).when), "")
