"""Whether a node is there: a last will that comes late cannot make a present node absent.

Every connection of a node has an id of its own, and the will carries the id of the connection that it ends. An
`offline` counts only for the newest connection that was seen to come online.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Presence(StrEnum):
    """What is known of a node's connection to the broker."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True)
class Connection:
    """The presence of a node, and the id of the newest connection (empty before the first)."""

    presence: Presence = Presence.UNKNOWN
    id: str = ""


def after(current: Connection, state: Literal["online", "offline"], connection: str) -> Connection:
    """What is known after a status message (a hello counts as online)."""
    if state == "online":
        return Connection(Presence.ONLINE, connection)
    is_newest = current.id in ("", connection)
    return Connection(Presence.OFFLINE, connection) if is_newest else current
