"""Many values for one query's IN, in portions: databases bound the number of parameters."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

PORTION = 10_000

Value = TypeVar("Value")


def portions(values: Iterable[Value]) -> Iterator[list[Value]]:
    """The values, so many at a time."""
    left = iter(values)
    while portion := list(islice(left, PORTION)):
        yield portion
