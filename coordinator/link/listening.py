"""Where a broker of our own may listen, and the programs that help it."""

import errno
import ipaddress
import shutil
import socket

from coordinator.errors import BadInput

LOOPBACK = "127.0.0.1"


def free_port(host: str, port: int) -> int:
    """The port itself if nobody listens there, or with 0 any free one.

    Raises:
        BadInput: the port is in use.
    """
    with listening_socket(host, port) as probe:
        return int(probe.getsockname()[1])


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound to an address, and listens.

    Raises:
        BadInput: the port is in use, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise cannot_listen(host, port, error) from None


def cannot_listen(host: str, port: int, error: Exception) -> BadInput:
    """One line for a port that cannot be had."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        reason = "address already in use"  # Python adds its own sentence
    return BadInput(
        f"the broker cannot listen on {authority_of(host, port)}: {reason}: set broker_port to another port (0: any "
        "free one), or broker to the URL of the one that runs there"
    )


def authority_of(host: str, port: int) -> str:
    """`host:port` as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def dialled(host: str) -> str:
    """Where a program on this machine reaches a server that listens on `host`: an unspecified one is dialled here."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if not address.is_unspecified else LOOPBACK if address.version == 4 else "::1"


def find_program(name: str) -> str | None:
    """The path of a program; Debian keeps daemons in /usr/sbin, off a user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
