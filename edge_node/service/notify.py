"""What the agent tells systemd: that it is ready, what it does, that its event loop still turns, that it ends.

The protocol of sd_notify(3): datagrams of `KEY=VALUE` lines to the socket that NOTIFY_SOCKET names. Where nobody
listens every message is nothing. The pulse is a task of the event loop on purpose: a loop that hangs sends none, and
systemd kills and restarts what is silent for WatchdogSec.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping

STATUS_S = 10.0
"""How often the status is told where nobody watches."""

log = logging.getLogger(__name__)


class Notifier:
    """Messages to the service manager.

    Args:
        address: of its socket, `@` for an abstract one; empty: nobody listens.
        watchdog_s: it kills us after so many seconds without a pulse; 0: it does not watch.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = address
        self._interval_s = watchdog_s / 3 if watchdog_s else STATUS_S
        self._pulse: asyncio.Task[None] | None = None

    def ready(self, status: Callable[[], str]) -> None:
        """Started: what comes after us may start. From now on the loop says that it turns, and what is done."""
        self._send("READY=1")
        if self._address:
            self._pulse = asyncio.create_task(self._beat(status), name="service pulse")

    def stopping(self) -> None:
        """The end has begun; the pulse goes on."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """No more pulse."""
        if self._pulse is not None:
            self._pulse.cancel()

    async def _beat(self, status: Callable[[], str]) -> None:
        while True:
            self._send(f"WATCHDOG=1\nSTATUS={' '.join(status().split())}")
            await asyncio.sleep(self._interval_s)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            try:
                sending.sendto(message.encode(), name)
            except OSError as error:
                log.warning("the service manager does not hear us: %s", error)


def notifier(environment: MutableMapping[str, str]) -> Notifier:
    """The notifier of a process's environment, which children do not inherit: they are not the service."""
    address = environment.pop("NOTIFY_SOCKET", "")
    watched = environment.pop("WATCHDOG_USEC", "")
    ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return Notifier(address, int(watched) / 1e6 if ours and watched.isdecimal() else 0.0)
