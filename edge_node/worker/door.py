"""How a worker, which may make no socket, reaches the captures: it names one, and the agent hands it a connection.

One message each way on a socket pair of its own: the path of a capture's socket; a byte, with the descriptor of the
connection where there is one. The agent's side: `doorkeeper`.
"""

import os
import socket
import threading
from contextlib import suppress

ANSWER = b"."


class Door:
    """The worker's side, for any of its threads."""

    def __init__(self, agent: socket.socket) -> None:
        self._agent = agent
        self._asking = threading.Lock()

    def connect(self, path: str) -> socket.socket | None:
        """A connection to a capture; None where there is none now."""
        with self._asking, suppress(OSError):
            self._agent.send(os.fsencode(path))
            _, fds, _, _ = socket.recv_fds(self._agent, len(ANSWER), 1)
            return socket.socket(fileno=fds[0]) if fds else None
        return None
