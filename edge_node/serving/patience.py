"""How long a connection over HTTP may take for what it does, and which one goes when there are too many: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar


class Phase(Enum):
    """What a connection does."""

    IDLE = "idle"
    HEADER = "header"
    """some of a request's head has come"""
    BUSY = "busy"
    """a request is read or answered; who answers it watches the time"""


@dataclass(slots=True)
class Doing:
    """What a connection does, since when, and since when an answer waits to be read by the client."""

    phase: Phase
    since: float
    unsent_since: float | None = None


@dataclass(frozen=True)
class Limits:
    """Seconds for the head of a request, and for reading an answer."""

    header_s: float
    write_s: float


class Watched(Protocol):
    """A connection."""

    doing: Doing


Connected = TypeVar("Connected", bound=Watched)


def is_overdue(doing: Doing, now: float, limits: Limits) -> bool:
    """Whether the connection is closed."""
    if doing.unsent_since is not None and now - doing.unsent_since > limits.write_s:
        return True
    return doing.phase is Phase.HEADER and now - doing.since > limits.header_s


def most_dispensable(connections: Iterable[Connected]) -> Connected | None:
    """The connection that has waited longest for a request to come, None where all are busy."""
    waiting = [connection for connection in connections if connection.doing.phase is not Phase.BUSY]
    return min(waiting, key=lambda connection: connection.doing.since, default=None)
