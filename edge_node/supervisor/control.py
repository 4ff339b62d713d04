"""The status socket: `<state>/agent.sock`, one JSON document per connection, then it is closed.

And the lock that keeps a second agent out of a state folder. The path of a Unix socket holds at most 107 bytes; a
folder's own descriptor shortens any path.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_node.errors import BadInput, Refused, Unreachable

SOCKET = "agent.sock"
LOCK = "agent.lock"
TIMEOUT_S = 5.0
LONGEST_PATH = 107
LONGEST_NAME = 80
"""A source's name has at most 63 characters; the rest is what captures write around it."""


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Say in one line where a state folder cannot be used.

    Raises:
        BadInput: what the system says of it.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"the state folder {folder} cannot be used ({reason}): give another with --state-dir") from None


@contextlib.contextmanager
def state_lock(folder: Path) -> Iterator[None]:
    """Hold a state folder, which is made where there is none, for this agent alone.

    Raises:
        Refused: another agent has it.
        BadInput: it cannot be made or written.
    """
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another agent runs on {folder}: stop it, or give this one another --name or --state-dir"
            ) from None
        yield


@contextlib.contextmanager
def socket_folder(folder: Path) -> Iterator[Path]:
    """A folder for the sockets of captures: inside the state folder where its path is short enough."""
    inside = folder / "run"
    if len(os.fsencode(inside)) <= LONGEST_PATH - LONGEST_NAME:
        with usable(folder):
            inside.mkdir(exist_ok=True, mode=0o700)
        yield inside
        return
    with tempfile.TemporaryDirectory(prefix="nearfield-") as outside:
        yield Path(outside)


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A path of the same file that is short enough for a Unix socket."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class StatusSocket:
    """Answers every connection with the document."""

    def __init__(self, folder: Path, document: Callable[[], bytes]) -> None:
        self._path = folder / SOCKET
        self._document = document
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; the socket of an agent that was killed is replaced."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        with reachable(self._path) as path:
            listening.bind(path)
        self._path.chmod(0o600)
        self._server = await asyncio.start_unix_server(self._answer, sock=listening)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(self._document())
            await writer.drain()
        writer.close()


def ask_status(folder: Path) -> bytes:
    """The status document of the agent on a state folder.

    Raises:
        Unreachable: no agent runs there.
    """
    try:
        with reachable(folder / SOCKET) as path, socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(TIMEOUT_S)
            asking.connect(path)
            return _all_of(asking)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unreachable(
            f"no agent answers on {folder} ({reason}): start it with edge-node run, or say which with --state-dir"
        ) from None


def _all_of(asking: socket.socket) -> bytes:
    parts: list[bytes] = []
    while part := asking.recv(65536):
        parts.append(part)
    return b"".join(parts)
