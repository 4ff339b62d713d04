"""Decides who gets a message: a tree of topic filters, and the retained messages. No socket.

Rules (MQTT 3.1.1, 4.7): `+` is one level, `#` is the rest and the level above it; wildcards at the beginning do not
match topics that begin with `$`. A subscriber whose filters overlap gets one message, at the highest of its qualities.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(slots=True)
class Level(Generic[S]):
    """One level of the tree: who subscribed to exactly this, and what lies below."""

    subscribers: dict[S, int] = field(default_factory=dict)
    below: dict[str, "Level[S]"] = field(default_factory=dict)


class Subscriptions(Generic[S]):
    """Filters and their subscribers."""

    def __init__(self) -> None:
        self._root: Level[S] = Level()

    def add(self, topic_filter: str, subscriber: S, qos: int) -> None:
        """Subscribe, or change the quality."""
        level = self._root
        for name in topic_filter.split("/"):
            level = level.below.setdefault(name, Level())
        level.subscribers[subscriber] = qos

    def remove(self, topic_filter: str, subscriber: S) -> None:
        """Take a subscription back; unknown ones are no error. Empty branches go."""
        path = [self._root]
        names = topic_filter.split("/")
        for name in names:
            if name not in path[-1].below:
                return
            path.append(path[-1].below[name])
        path[-1].subscribers.pop(subscriber, None)
        for parent, name in zip(reversed(path[:-1]), reversed(names), strict=True):
            if parent.below[name].subscribers or parent.below[name].below:
                return
            del parent.below[name]

    def of(self, topic: str) -> dict[S, int]:
        """Who gets a message of this topic, and at most at which quality."""
        found: dict[S, int] = {}
        for level in _matching(self._root, topic.split("/"), 0, wild=not topic.startswith("$")):
            for subscriber, qos in level.subscribers.items():
                found[subscriber] = max(qos, found.get(subscriber, 0))
        return found


def _matching(level: Level[S], names: list[str], at: int, *, wild: bool) -> Iterator[Level[S]]:
    below = level.below
    if wild and "#" in below:
        yield below["#"]
    if at == len(names):
        yield level
        return
    if wild and "+" in below:
        yield from _matching(below["+"], names, at + 1, wild=True)
    if names[at] in below:
        yield from _matching(below[names[at]], names, at + 1, wild=True)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a single filter matches a topic."""
    alone: Subscriptions[None] = Subscriptions()
    alone.add(topic_filter, None, 0)
    return bool(alone.of(topic))
