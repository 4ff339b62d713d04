"""A figure of a benchmark: a value, and where one is set the goal that it is held against."""

import operator
from collections.abc import Callable

import msgspec

COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the report. `goal` is written as `>= 0.95`; `note` says what bounds the value or how it was taken."""

    benchmark: str
    name: str
    value: float
    unit: str
    goal: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if not self.goal:
            return None
        comparison, bound = self.goal.split()
        return COMPARE[comparison](self.value, float(bound))


def median(values: list[float]) -> float:
    """The middle value."""
    return percentile(values, 50)


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values to take a percentile of")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
