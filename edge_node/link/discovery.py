"""Finds the coordinator when nobody says where it is.

Looking is done by a short-lived child process (`mdns.py`); here stands what to make of the answer. mDNS is not
authenticated: what it says is a hint where to dial, never a reason to trust. An explicit address always wins. Several
coordinators may be announced: the pinned authority tells the node's own from the others.
"""

import msgspec

from edge_node.link.child import ask
from protos.discovery import SERVICE_TYPE

MODULE = "edge_node.link.mdns"
LOOK_S = 2.0


class Look(msgspec.Struct, frozen=True, tag=True):
    """Look for services of a type for so many seconds."""

    seconds: float
    service_type: str = SERVICE_TYPE


class FoundCoordinator(msgspec.Struct, frozen=True, order=True):
    """An announced coordinator: host:port of its gRPC, and what it says of itself."""

    address: str
    version: str = ""
    key_id: str = ""
    enrollment: str = ""
    """host:port of its enrollment"""


class Found(msgspec.Struct, frozen=True, tag=True):
    """All that were announced."""

    coordinators: tuple[FoundCoordinator, ...]


async def find_coordinators(seconds: float = LOOK_S) -> tuple[str, ...]:
    """The host:port of every coordinator that is announced: for a node that can tell its own from strangers.

    Raises:
        Unreachable: multicast is not possible here.
    """
    found = await ask(MODULE, Look(seconds=seconds), Found)
    return tuple(sorted({coordinator.address for coordinator in found.coordinators}))


async def find_enrollment(seconds: float = LOOK_S) -> tuple[str, ...]:
    """The host:port of the enrollment of every coordinator that is announced: a token says which is meant.

    Raises:
        Unreachable: multicast is not possible here.
    """
    found = await ask(MODULE, Look(seconds=seconds), Found)
    return tuple(sorted({coordinator.enrollment for coordinator in found.coordinators if coordinator.enrollment}))
