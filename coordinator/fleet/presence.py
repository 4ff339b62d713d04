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


def must_be_said(before: Presence, now: Presence) -> bool:
    """Whether the coordinator must say the node's live availability after a change of its presence.

    A node that died cannot say so itself. One that comes back can, but the "offline" that was said in its place may
    overtake its word, so that it is said again in the order of its status messages.
    """
    return before is not now and Presence.OFFLINE in (before, now)
