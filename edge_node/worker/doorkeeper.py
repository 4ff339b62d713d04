"""The agent's side of a worker's door: connects to the captures that the worker's pipelines take frames from.

It connects to those and to nothing else. What is said on the door: `door`.
"""

import asyncio
import os
import socket

from edge_node.capture.connecting import connect_to
from edge_node.worker.door import ANSWER

_PATH_BYTES = 4096


class Doorkeeper:
    """The agent's side. `sources` are the sockets that it connects to, for whoever asks."""

    def __init__(self) -> None:
        self.sources: set[str] = set()
        self._asked: socket.socket | None = None

    def open(self) -> socket.socket:
        """Begin to answer; the other end, to be handed to the worker."""
        self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asked.setblocking(False)
        asyncio.get_running_loop().add_reader(self._asked, self._answer, self._asked)
        return theirs

    def close(self) -> None:
        """Answer no more. Idempotent."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asyncio.get_running_loop().remove_reader(asked)
            asked.close()

    def _answer(self, asked: socket.socket) -> None:
        try:
            path = os.fsdecode(asked.recv(_PATH_BYTES))
            if not path:
                self.close()
                return
            connection = connect_to(path) if path in self.sources else None
            if connection is None:
                asked.send(ANSWER)
                return
            with connection:
                socket.send_fds(asked, [ANSWER], [connection.fileno()])
        except OSError:  # the worker is gone, or takes no answers
            self.close()
