"""A report that fits into one message: where evidence is too much, its details go first, its sums stay. Pure.

First the classes with the fewest answers are counted as others, then the slices with the fewest are put together, under
a name that says how many they are; what a version did as a whole is the same before and after.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from edge_node.telemetry.counting import OTHERS
from protos.evidence import Evidence, ReportedShadow, ReportedTrial, merged
from protos.reported import Reported, ReportedDeployment
from protos.topics import MAX_PAYLOAD

Slices = tuple[Evidence, ...]
MOST_SLICES = 64
CLASSES = (32, 16, 8, 0)
SLICES = (16, 8, 4, 2, 1)

_Told = ReportedTrial | ReportedShadow


def fitted(said: Reported, most_bytes: int = MAX_PAYLOAD) -> Reported:
    """The report, in at most so many bytes of JSON as far as leaving out details makes it so."""
    said = _each(said, partial(fewer_slices, most=MOST_SLICES))
    for lessen in _LESSENING:
        if len(msgspec.json.encode(said)) <= most_bytes:
            return said
        said = _each(said, lessen)
    return said


def fewer_classes(slices: Slices, most: int) -> Slices:
    """The slices with at most so many classes each, those with the most answers; the others are counted together."""
    return tuple(msgspec.structs.replace(one, classes=_most_frequent(one.classes, most)) for one in slices)


def fewer_slices(slices: Slices, most: int) -> Slices:
    """At most so many slices, those with the most frames; the others are one, under a name with their number."""
    if len(slices) <= most:
        return slices
    ranked = sorted(slices, key=lambda one: (_slices_in(one) == 1, one.samples + one.errors), reverse=True)
    rest = ranked[most - 1 :]
    return (*ranked[: most - 1], merged(rest, f"({sum(map(_slices_in, rest))} more)"))


_LESSENING: tuple[Callable[[Slices], Slices], ...] = (
    *(partial(fewer_classes, most=most) for most in CLASSES),
    *(partial(fewer_slices, most=most) for most in SLICES),
    lambda _: (),
)


def _slices_in(one: Evidence) -> int:
    """How many slices one stands for."""
    words = one.pipeline.strip("()").split()
    return int(words[0]) if one.pipeline.startswith("(") and words[-1:] == ["more"] else 1


def _most_frequent(classes: dict[str, int], most: int) -> dict[str, int]:
    named = sorted(((count, name) for name, count in classes.items() if name != OTHERS), reverse=True)
    kept = {name: count for count, name in named[:most]}
    others = sum(classes.values()) - sum(kept.values())
    return {**kept, OTHERS: others} if others else kept


def _each(said: Reported, lessen: Callable[[Slices], Slices]) -> Reported:
    """The report with everybody's evidence lessened."""
    return msgspec.structs.replace(said, deployments=tuple(_lessened(one, lessen) for one in said.deployments))


def _lessened(one: ReportedDeployment, lessen: Callable[[Slices], Slices]) -> ReportedDeployment:
    if one.trial is None and one.shadow is None:
        return one
    return msgspec.structs.replace(one, trial=_told(one.trial, lessen), shadow=_told(one.shadow, lessen))


def _told(told: _Told | None, lessen: Callable[[Slices], Slices]) -> _Told | None:
    if told is None:
        return None
    return msgspec.structs.replace(told, evidence=lessen(told.evidence), reference=lessen(told.reference))
