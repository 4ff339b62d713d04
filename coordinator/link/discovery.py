"""Announces the coordinator by zeroconf, where others can reach it: only on loopback if it listens only there.

Registration takes about a second of probing: it runs in the background. Where multicast is not possible the
coordinator runs without it; devices are then told the address. What is announced is a hint, and no secret: a device
trusts the authority that its join token names.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.link.addresses import UNSPECIFIED
from protos.discovery import SERVICE_TYPE, TXT_ENROLLMENT, TXT_KEY_ID, TXT_VERSION

LOOPBACK = "127.0.0.1"
NO_MULTICAST = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENOBUFS})
"""19, 99, 101, 105: no interface here takes part in multicast, or no more groups may be joined."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Announced:
    """What is said of a coordinator; `addresses` are IPv4, of the interfaces where it is said."""

    hostname: str
    addresses: tuple[str, ...]
    port: int
    enrollment_port: int
    version: str
    key_id: str

    @property
    def label(self) -> str:
        """What tells it from the others of a network."""
        host = re.sub(r"[^a-z0-9-]", "-", self.hostname.partition(".")[0].lower())[:40] or "host"
        return f"nearfield-{host}-{self.port}"


def announced_addresses(host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """The IPv4 addresses to announce for a server bound to `host`, on a machine with these addresses."""
    wanted = addresses if host in UNSPECIFIED else (host,)
    return tuple(one for one in wanted if _is_v4(one)) or (LOOPBACK,)


class Announcement:
    """Makes one coordinator known as long as it runs."""

    def __init__(self, announced: Announced) -> None:
        self._announced = announced
        self._task: asyncio.Task[None] | None = None
        self.state = "discovery: not announced yet"
        """One line for people."""

    async def start(self) -> None:
        """Begin to announce, in the background."""
        self._task = asyncio.create_task(self._announce(), name="discovery")

    async def stop(self) -> None:
        """Take the announcement back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _announce(self) -> None:
        try:
            await self._registered_until_cancelled()
        except OSError as error:
            said = self._announced
            off = "multicast is not possible here" if error.errno in NO_MULTICAST else str(error.strerror or error)
            self.state = f"discovery is off, {off}: give devices --coordinator HOST:{said.enrollment_port}"
            log.warning("%s", self.state)

    async def _registered_until_cancelled(self) -> None:
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

        said = self._announced
        service = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{said.label}.{SERVICE_TYPE}",
            addresses=[socket.inet_aton(address) for address in said.addresses],
            port=said.port,
            properties={
                TXT_VERSION: said.version.encode(),
                TXT_KEY_ID: said.key_id.encode(),
                TXT_ENROLLMENT: str(said.enrollment_port).encode(),
            },
            server=f"{said.label}.local.",
        )
        async with AsyncZeroconf(interfaces=list(said.addresses), ip_version=IPVersion.V4Only) as zeroconf:
            await (await zeroconf.async_register_service(service, allow_name_change=True))
            self.state = f"discovery: announced as {service.name}"
            try:
                await asyncio.Event().wait()
            finally:
                await (await zeroconf.async_unregister_service(service))


def _is_v4(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False
