"""Announces the coordinator by zeroconf, on the loopback interface only, until identities exist.

Registration takes about a second of probing: it runs in the background. Where multicast is not possible the
coordinator runs without it; nodes are then told the address.
"""

import asyncio
import contextlib
import errno
import logging
import socket

from protos.discovery import SERVICE_TYPE, TXT_KEY_ID, TXT_VERSION

HOST = "127.0.0.1"
NO_MULTICAST = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENOBUFS})
"""19, 99, 101, 105: no interface here takes part in multicast, or no more groups may be joined."""

log = logging.getLogger(__name__)


class Announcement:
    """Makes one coordinator known as long as it runs."""

    def __init__(self, port: int, version: str, key_id: str) -> None:
        self._port = port
        self._version = version
        self._key_id = key_id
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
            off = "multicast is not possible here" if error.errno in NO_MULTICAST else str(error.strerror or error)
            self.state = f"discovery is off, {off}: give nodes --coordinator {HOST}:{self._port}"
            log.warning("%s", self.state)

    async def _registered_until_cancelled(self) -> None:
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

        service = AsyncServiceInfo(
            SERVICE_TYPE,
            f"nearfield-{self._port}.{SERVICE_TYPE}",
            addresses=[socket.inet_aton(HOST)],
            port=self._port,
            properties={TXT_VERSION: self._version.encode(), TXT_KEY_ID: self._key_id.encode()},
            server=f"nearfield-{self._port}.local.",
        )
        async with AsyncZeroconf(interfaces=[HOST], ip_version=IPVersion.V4Only) as zeroconf:
            await (await zeroconf.async_register_service(service, allow_name_change=True))
            self.state = f"discovery: announced as {service.name}"
            try:
                await asyncio.Event().wait()
            finally:
                await (await zeroconf.async_unregister_service(service))
