"""Where a broker of our own may listen, and the programs that help it."""

import errno
import shutil
import socket

from coordinator.errors import BadInput

HOST = "127.0.0.1"
"""The loopback interface only, until identities exist."""


def free_port(port: int) -> int:
    """The port itself if nobody listens there, or with 0 any free one.

    Raises:
        BadInput: the port is in use.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise cannot_listen(port, error) from None
        return int(probe.getsockname()[1])


def cannot_listen(port: int, error: Exception) -> BadInput:
    """One line for a port that cannot be had."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        reason = "address already in use"  # asyncio writes a whole sentence
    return BadInput(
        f"the broker cannot listen on {HOST}:{port}: {reason}: set broker_port to another port (0: any free one), or "
        "broker to the URL of the one that runs there"
    )


def find_program(name: str) -> str | None:
    """The path of a program; Debian keeps daemons in /usr/sbin, off a user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
