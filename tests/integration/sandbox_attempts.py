"""What a model that has taken over its process would try: `python -m tests.integration.sandbox_attempts ORDER`.

Each attempt is made in this process, after it was confined as the order says, and what came of it is printed as JSON:
`done`, or the name of the exception. Every attempt is harmless where it succeeds.
"""

import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement
from edge_node.sandbox.server import close_ports, confine_server

MEMFD_BYTES = 1 << 20


class Order(msgspec.Struct):
    """`state` is a node's folder with an `identity/key`; `port` and `unix` are listened on; `others` is a process."""

    confinement: Confinement
    state: str
    port: int
    unix: str
    other: int
    server: bool = False
    """confined as a server is that listens already"""


def attempts(order: Order) -> dict[str, Callable[[], object]]:
    """Every attempt by what it would achieve."""
    state = Path(order.state)
    key = state / "identity" / "key"
    return {
        "read the list of users": lambda: Path("/etc/passwd").read_bytes(),
        "read the node's key": key.read_bytes,
        "list the node's state": lambda: list(state.iterdir()),
        "read the agent's environment": lambda: Path(f"/proc/{order.other}/environ").read_bytes(),
        "write into the node's state": lambda: (state / "planted").write_bytes(b"x"),
        "lengthen the node's key": lambda: _append(key),
        "let everybody read the key": lambda: key.chmod(0o644),
        "link the key elsewhere": lambda: os.link(key, state / "linked"),
        "rename the node's key": lambda: key.rename(key.with_name("renamed")).rename(key),
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", order.port), 5).close(),
        "connect to a Unix socket": lambda: _unix(order.unix),
        "send by UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", order.port)),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
        "run a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "fork": _fork,
        "signal the agent": lambda: os.kill(order.other, 0),
        "slow the agent down": lambda: os.setpriority(os.PRIO_PROCESS, order.other, 1),
        "allocate 8 GB": lambda: mmap.mmap(-1, 8 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close(),
        "hold memory as a file": lambda: os.truncate(os.memfd_create("x"), MEMFD_BYTES),
        "set up io_uring": lambda: _call(425, 1, ctypes.create_string_buffer(120)),
        "leave for a user namespace": lambda: _call(272 if os.uname().machine == "x86_64" else 97, 0),
    }


def main(order: Order) -> dict[str, str]:
    """Confine, then attempt everything."""
    if order.server:
        close_ports(confine_server((), (), order.confinement.mode))
    else:
        confine(order.confinement, writes=True)
    return {name: _outcome(attempt) for name, attempt in attempts(order).items()}


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _call(number: int, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


if __name__ == "__main__":
    print(json.dumps(main(msgspec.json.decode(sys.argv[1], type=Order))))
