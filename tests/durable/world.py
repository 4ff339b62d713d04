"""Starts, kills and wipes the real parts; records what was accepted; reads what is stored, with nothing of ours.

The recorder believes two things: the lines that a node wrote before it died, and the rows of the database file. Every
connection has TLS, with certificates on both sides.
"""

import contextlib
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.envelope import public_bytes
from tests.authorities import Authority
from tests.bound import BOUND

WAIT_S = 40.0
MOSQUITTO = """\
listener {port} 127.0.0.1
cafile {files.ca}
certfile {files.certificate}
keyfile {files.key}
require_certificate true
use_identity_as_username true
user root
log_type error
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Child:
    """A process whose standard output is kept, line by line; what it wrote before a kill is not lost."""

    def __init__(self, command: list[str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen([*BOUND, *command], stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def kill(self) -> None:
        """SIGKILL, and wait until everything it wrote is read."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                if line.endswith("\n"):  # a line cut by the kill was not accepted
                    self.lines.append(line.rstrip("\n"))


@dataclass
class World:
    """One broker, one node, one collector, all real, on a free port."""

    folder: Path
    mosquitto: str
    plain: bool = False
    database: str = ""
    port: int = field(default_factory=free_port)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    broker: Child | None = None
    collector: Child | None = None
    nodes: list[Child] = field(default_factory=list)

    def __enter__(self) -> "World":
        authority = Authority(self.folder / "tls")
        self.of_broker = authority.issue("broker", server=True)
        self.files = authority.issue("client")
        self.database = self.database or f"sqlite:///{self.folder / 'results.db'}"
        self.start_broker()
        self.start_collector()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in (*self.nodes, self.collector, self.broker):
            if child is not None:
                child.kill()

    def start_broker(self) -> None:
        """Start Mosquitto on the world's port."""
        folder = self.folder / "broker"
        folder.mkdir(exist_ok=True)
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            MOSQUITTO.format(port=self.port, folder=folder, files=self.of_broker), encoding="ascii"
        )
        self.broker = Child([self.mosquitto, "-c", str(configuration)])
        until(lambda: accepts(self.port), "the broker accepts connections")

    def kill_and_wipe_broker(self) -> None:
        """SIGKILL the broker and delete everything it kept."""
        assert self.broker is not None
        self.broker.kill()
        shutil.rmtree(self.folder / "broker")

    def start_collector(self) -> None:
        """Start a collector and wait until it has subscribed."""
        command = [sys.executable, "-m", "tests.durable.collector", self.database, str(self.port)]
        child = Child([*command, self.key.private_bytes_raw().hex(), *self.tls(), *self._arm()])
        self.collector = child
        until(lambda: "ready" in child.lines, "the collector has subscribed")

    def kill_collector(self) -> None:
        """SIGKILL it."""
        assert self.collector is not None
        self.collector.kill()

    def pause_collector(self) -> None:
        """Let it live and do nothing."""
        assert self.collector is not None
        self.collector.process.send_signal(signal.SIGSTOP)

    def resume_collector(self) -> None:
        """Let it go on."""
        assert self.collector is not None
        self.collector.process.send_signal(signal.SIGCONT)

    def start_node(self, label: str, offer: int, rate: float) -> Child:
        """Start the node; a label must be used once only."""
        command = [sys.executable, "-m", "tests.durable.node", str(self.folder / "node"), str(self.port)]
        options = ["--label", label, "--offer", str(offer), "--rate", str(rate), *self._arm()]
        node = Child([*command, public_bytes(self.key).hex(), *self.tls(), *options])
        self.nodes.append(node)
        return node

    def accepted(self) -> dict[str, str]:
        """Label by event id, of everything that any node said was accepted."""
        return dict(line.split(" ") for node in self.nodes for line in node.lines)

    def stored(self) -> list[tuple[str, str]]:
        """(event id, label) of every row, read from the file with the standard library alone."""
        file = self.database.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", WAIT_S, uri=True)) as table:
            names = table.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'results_[0-9]*'")
            rows = [row for (name,) in names.fetchall() for row in table.execute(f"SELECT event FROM {name}")]
        events = [json.loads(event) for (event,) in rows]
        return [(event["id"], event["data"]["outputs"][0]["label"]) for event in events]

    def await_all_stored(self) -> None:
        """Wait until everything accepted is stored."""
        until(lambda: self.accepted().keys() <= {row[0] for row in self.stored()}, "everything accepted is stored")

    def verdict(self) -> "Verdict":
        """Compare what was accepted with what is stored."""
        accepted, stored = self.accepted(), self.stored()
        ids, labels = Counter(row[0] for row in stored), Counter(row[1] for row in stored)
        return Verdict(
            accepted=len(accepted),
            lost=sum(1 for result in accepted if result not in ids),
            twice=sum(1 for count in [*ids.values(), *labels.values()] if count > 1),
            changed=sum(1 for result, label in stored if accepted.get(result, label) != label),
            unannounced=sum(1 for result in ids if result not in accepted),
        )

    def tls(self) -> list[str]:
        """How a child of the world is told its certificate."""
        return ["--tls", str(self.files.ca), str(self.files.certificate), str(self.files.key)]

    def _arm(self) -> list[str]:
        return ["--plain"] if self.plain else []


@dataclass(frozen=True)
class Verdict:
    """`unannounced` were committed by a node that was killed before it could say so."""

    accepted: int
    lost: int
    twice: int
    changed: int
    unannounced: int


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with its words."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what}")
        time.sleep(0.05)


def accepts(port: int) -> bool:
    """Whether somebody listens on a port of the loopback interface."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
