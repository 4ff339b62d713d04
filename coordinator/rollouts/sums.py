"""Evidence added up, each count only when a gate asks for it: a wave of thousands is summed at every decision. Pure."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from protos.evidence import Evidence, merged, summed


class Counts(Protocol):
    """What gates read: of one piece of evidence, or of a sum."""

    @property
    def samples(self) -> int:
        """Answers."""

    @property
    def errors(self) -> int:
        """Frames or asks that got none."""

    @property
    def latency(self) -> Mapping[int, int]:
        """Answers by the sketch's bucket."""

    @property
    def confidence(self) -> tuple[int, ...]:
        """Answers by the best score's bin."""

    @property
    def classes(self) -> Mapping[str, int]:
        """Answers by the best label."""

    @property
    def compared(self) -> int:
        """Answers that were compared with the current version's."""

    @property
    def agreed(self) -> int:
        """Of those: that agree."""

    @property
    def distance(self) -> float:
        """Of those: the sum of distances."""


class Sum:
    """`Counts` of all parts together; the same as `protos.evidence.merged` gives."""

    def __init__(self, parts: Sequence[Evidence]) -> None:
        self._parts = parts

    @cached_property
    def samples(self) -> int:
        """Answers."""
        return sum([part.samples for part in self._parts])

    @cached_property
    def errors(self) -> int:
        """Frames or asks that got none."""
        return sum([part.errors for part in self._parts])

    @cached_property
    def latency(self) -> Mapping[int, int]:
        """Answers by the sketch's bucket."""
        return summed(part.latency for part in self._parts)

    @cached_property
    def confidence(self) -> tuple[int, ...]:
        """Answers by the best score's bin."""
        return merged(Evidence(confidence=part.confidence) for part in self._parts).confidence

    @cached_property
    def classes(self) -> Mapping[str, int]:
        """Answers by the best label."""
        return summed(part.classes for part in self._parts)

    @cached_property
    def compared(self) -> int:
        """Answers that were compared with the current version's."""
        return sum([part.compared for part in self._parts])

    @cached_property
    def agreed(self) -> int:
        """Of those: that agree."""
        return sum([part.agreed for part in self._parts])

    @cached_property
    def distance(self) -> float:
        """Of those: the sum of distances."""
        return math.fsum(part.distance for part in self._parts)
