"""A network namespace with one way out, and a recorder of every byte on it.

    with one_way_out() as way, Recorder(way.interface) as recorder:
        fleet.node(…, under=way.inside)
        seen = recorder.seen()

The way is a pair of virtual Ethernet devices; there is no route beyond the other end. The recorder sits on that end,
with a packet socket of its own: nobody's counters are believed.
"""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType

ALL_PROTOCOLS = 3  # ETH_P_ALL of <linux/if_ether.h>
ETHERNET = 14
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TCP = 6
OURS = (4, 5)  # PACKET_OUTGOING, PACKET_LOOPBACK of <linux/if_packet.h>: sent by this end; its own multicast again
_NUMBERS = count()
"""No two ways of a test run have the same addresses: a connection of the one before may still try to end."""
BUFFER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Way:
    """The namespace: what to start commands under, this end's interface and both addresses."""

    inside: tuple[str, ...]
    interface: str
    here: str
    there: str


@contextlib.contextmanager
def one_way_out() -> Iterator[Way]:
    """A namespace for the block; it vanishes with the process that holds it."""
    number = next(_NUMBERS)
    here, there = (f"198.18.{os.getpid() % 250}.{number % 64 * 4 + host}" for host in (1, 2))
    interface, inner = f"nf{os.getpid() % 100_000}w{number % 64}", "way"
    with subprocess.Popen(("unshare", "--net", "sleep", "infinity")) as holder:
        inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        try:
            _until_apart(holder.pid)
            _run("ip", "link", "add", interface, "type", "veth", "peer", "name", inner, "netns", str(holder.pid))
            _run("ip", "address", "add", f"{here}/30", "dev", interface)
            _run("ip", "link", "set", interface, "up")
            for command in (f"address add {there}/30 dev {inner}", f"link set {inner} up", "link set lo up"):
                _run(*inside, "ip", *command.split())
            yield Way(inside, interface, here, there)
        finally:
            subprocess.run(("ip", "link", "delete", interface), check=False, capture_output=True)
            holder.kill()


def _until_apart(pid: int) -> None:
    """`unshare` has left our network."""
    ours = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass(frozen=True)
class Packet:
    """One packet; `size` is of the IP packet, headers included. Upwards is away from the node."""

    at: float
    upwards: bool
    protocol: int
    ports: tuple[int, int]
    """source and destination of TCP, else zeros"""
    sequence: int
    size: int
    payload: bytes


class Recorder:
    """Keeps every packet of an interface from `__enter__` on."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._packets: list[Packet] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._record, name="recorder")
        self._listening = threading.Event()

    def __enter__(self) -> "Recorder":
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def packets(self) -> list[Packet]:
        """What was seen until now."""
        return list(self._packets)

    def _record(self) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            listening.bind((self._interface, 0))
            listening.settimeout(0.2)
            self._listening.set()
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    frame, address = listening.recvfrom(128 * 1024)
                    self._packets.append(packet_of(frame, time.monotonic(), address[2] not in OURS))


def packet_of(frame: bytes, at: float, upwards: bool) -> Packet:
    """What an Ethernet frame holds."""
    (kind,) = struct.unpack("!H", frame[12:14])
    inner = frame[ETHERNET:]
    if kind != IPV4 or inner[9] != TCP:
        return Packet(at, upwards, inner[9] if kind == IPV4 else kind, (0, 0), 0, len(inner), inner)
    (total,) = struct.unpack("!H", inner[2:4])
    segment = inner[(inner[0] & 15) * 4 : total or len(inner)]
    source, destination, sequence = struct.unpack("!HHI", segment[:8])
    return Packet(
        at, upwards, TCP, (source, destination), sequence, total or len(inner), segment[(segment[12] >> 4) * 4 :]
    )


def streams(packets: list[Packet]) -> dict[tuple[bool, tuple[int, int]], bytes]:
    """What each TCP connection carried in each direction, in order, what was sent again once."""
    found: dict[tuple[bool, tuple[int, int]], dict[int, bytes]] = {}
    for packet in packets:
        if packet.protocol == TCP and packet.payload:
            found.setdefault((packet.upwards, packet.ports), {})[packet.sequence] = packet.payload
    return {key: b"".join(part for _, part in sorted(parts.items())) for key, parts in found.items()}
