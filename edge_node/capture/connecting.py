"""A connection to a capture's frame socket. Nothing of frames here: the agent may import it."""

import socket
from collections.abc import Callable

Connect = Callable[[str], socket.socket | None]
"""Makes a connection to the frame socket at a path; None: not now."""


def connect_to(path: str) -> socket.socket | None:
    """A connection to the frame socket at a path; None where nobody listens, or too many wait already."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setblocking(False)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection
