"""Finds the coordinator when nobody says where it is.

Looking is done by a short-lived child process (`mdns.py`); here stands what to make of the answer. mDNS is not
authenticated: what it says is a hint where to dial, never a reason to trust. An explicit address always wins.
"""

from collections.abc import Iterable

import msgspec

from edge_node.errors import Refused, Unreachable
from edge_node.link.child import ask
from protos.discovery import SERVICE_TYPE

MODULE = "edge_node.link.mdns"
LOOK_S = 2.0
SAY = "say which with --coordinator HOST:PORT"


class Look(msgspec.Struct, frozen=True, tag=True):
    """Look for services of a type for so many seconds."""

    seconds: float
    service_type: str = SERVICE_TYPE


class FoundCoordinator(msgspec.Struct, frozen=True, order=True):
    """An announced coordinator: host:port of its gRPC, and what it says of itself."""

    address: str
    version: str = ""
    key_id: str = ""


class Found(msgspec.Struct, frozen=True, tag=True):
    """All that were announced."""

    coordinators: tuple[FoundCoordinator, ...]


async def find_coordinator(seconds: float = LOOK_S) -> str:
    """The host:port of the one coordinator that is announced.

    Raises:
        Unreachable: none, or multicast is not possible here; trying again later may help.
        Refused: several; guessing would hand the node to a stranger.
    """
    found = await ask(MODULE, Look(seconds=seconds), Found)
    return the_one(found.coordinators)


def the_one(coordinators: Iterable[FoundCoordinator]) -> str:
    """The address of the only coordinator found.

    Raises:
        Unreachable: there is none.
        Refused: there are several.
    """
    addresses = sorted({coordinator.address for coordinator in coordinators})
    if not addresses:
        raise Unreachable(f"no coordinator is announced here: start edge-coordinator serve, or {SAY}")
    if len(addresses) > 1:
        raise Refused(f"several coordinators are announced, {' and '.join(addresses)}: {SAY}")
    return addresses[0]
