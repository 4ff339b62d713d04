"""`python -m edge_node.link.mdns`: look for announced coordinators, in a process of its own.

The node's one door to zeroconf.
"""

import asyncio
import errno
import sys

import msgspec
from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from edge_node.link.child import Failed, say
from edge_node.link.discovery import Found, FoundCoordinator, Look
from protos.discovery import TXT_ENROLLMENT, TXT_KEY_ID, TXT_VERSION

RESOLVE_MS = 1000
ASKING = DNSQuestionType.QM
"""Answers come to everybody: one sent to our port alone may reach another process of this machine that shares it."""
NO_MULTICAST = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENOBUFS})
"""19, 99, 101, 105: no interface here takes part in multicast, or no more groups may be joined."""


async def look(request: Look) -> Found:
    """What is announced meanwhile. Raises OSError where multicast is not possible."""
    names: set[str] = set()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type  # called with these names
        (names.discard if state_change is ServiceStateChange.Removed else names.add)(name)

    async with AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.V4Only) as zeroconf:
        browser = AsyncServiceBrowser(zeroconf.zeroconf, request.service_type, handlers=[changed], question_type=ASKING)
        async with browser:
            await asyncio.sleep(request.seconds)
        resolved = await asyncio.gather(*(_resolve(zeroconf, request.service_type, name) for name in sorted(names)))
    return Found(coordinators=tuple(sorted(one for each in resolved for one in each)))


async def _resolve(zeroconf: AsyncZeroconf, service_type: str, name: str) -> list[FoundCoordinator]:
    info = AsyncServiceInfo(service_type, name)
    if not await info.async_request(zeroconf.zeroconf, RESOLVE_MS, ASKING) or info.port is None:
        return []
    return found_from_wire(info.parsed_addresses(IPVersion.V4Only), info.port, info.properties)


def found_from_wire(addresses: list[str], port: int, properties: dict[bytes, bytes | None]) -> list[FoundCoordinator]:
    """An announcement in our types, once for each address that it names."""
    enroll_port = _text(properties.get(TXT_ENROLLMENT))
    return [
        FoundCoordinator(
            address=f"{address}:{port}",
            version=_text(properties.get(TXT_VERSION)),
            key_id=_text(properties.get(TXT_KEY_ID)),
            enrollment=f"{address}:{enroll_port}" if enroll_port.isdecimal() else "",
        )
        for address in addresses
    ]


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def main() -> int:
    """Answer the request on standard input."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Look)
    try:
        say(asyncio.run(look(request)))
    except OSError as error:
        off = "multicast is not possible here" if error.errno in NO_MULTICAST else str(error.strerror or error)
        say(
            Failed("unreachable", f"cannot look for a coordinator, {off}: say where it is with --coordinator HOST:PORT")
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
