"""How many nodes there are when every call is inlined, as engines do with functions and run with inner graphs."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from protos.admission.limits import Inadmissible, Limits

Key = TypeVar("Key", bound=Hashable)


@dataclass
class Body(Generic[Key]):
    """Nodes of its own, and how often it calls which other body."""

    nodes: int = 0
    calls: dict[Key, int] = field(default_factory=dict)

    def call(self, key: Key, times: int = 1) -> None:
        """Count a call."""
        self.calls[key] = self.calls.get(key, 0) + times


def check_expansion(start: Body[Key], bodies: Mapping[Key, Body[Key]], limits: Limits) -> None:
    """Return if the start, with all that it calls in place of the calls, has not too many nodes; it calls known bodies.

    Raises:
        Inadmissible: too many, or calls too deep, or without end.
    """
    known: dict[Key, int] = {}

    def size(body: Body[Key], depth: int) -> int:
        if depth > limits.call_depth:
            raise Inadmissible(f"calls of more than {limits.call_depth} levels, or without end")
        total = body.nodes
        for key, times in body.calls.items():
            if key not in known:
                known[key] = size(bodies[key], depth + 1)
            total += times * known[key]
        if total > limits.nodes:
            raise Inadmissible(f"more than {limits.nodes} nodes when every call is inlined")
        return total

    size(start, 0)
