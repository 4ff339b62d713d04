"""Which sockets a process and its children hold open for others, as the kernel lists them in /proc."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENS, UNCONNECTED = "0A", "07"  # <net/tcp_states.h>: TCP_LISTEN; TCP_CLOSE is what a UDP socket without a peer is in


@dataclass(frozen=True)
class Open:
    """Where others may send to."""

    protocol: str
    address: str
    port: int

    @property
    def loopback(self) -> bool:
        """Only this machine can."""
        return self.address.startswith("127.") or self.address == "::1"


def open_sockets(pid: int) -> set[Open]:
    """Of a process and all of its descendants."""
    ours = {inode for one in family(pid) for inode in _inodes(one)}
    tables = (("tcp", LISTENS), ("tcp6", LISTENS), ("udp", UNCONNECTED), ("udp6", UNCONNECTED))
    return {
        found
        for table, state in tables
        for inode, found in _entries(PROC / str(pid) / "net" / table, table.removesuffix("6"), state)
        if inode in ours
    }


def family(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for children in (PROC / str(pid) / "task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def _inodes(pid: int) -> Iterator[str]:
    for descriptor in (PROC / str(pid) / "fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _entries(table: Path, protocol: str, wanted: str) -> Iterator[tuple[str, Open]]:
    """The rows of a table of proc(5) in one state, by inode."""
    for row in table.read_text().splitlines()[1:]:
        _, local, _, state, _, _, _, _, _, inode, *_ = row.split()
        if state == wanted:
            address, port = local.split(":")
            yield inode, Open(protocol, _address(address), int(port, 16))


def _address(text: str) -> str:
    """Words of four bytes in the machine's own order."""
    words = (int(text[place : place + 8], 16) for place in range(0, len(text), 8))
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
