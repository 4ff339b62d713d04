"""An attacked server: its keys, an honest client with a steady pace, somebody who attacks, and its memory meanwhile."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from tests.authorities import Authority, Files
from tests.conformance.tiny_models import onnx_model
from tests.integration.serving_world import TWICE, Running, request, serving, stub_on

ASKS = 120
EVERY_S = 0.01
BEFORE_S = 1.0
"""until an attack has begun"""


@dataclass
class Defended:
    """A server with two keys, and what its clients trust."""

    running: Running
    files: Files
    honest: str
    greedy: str

    def processor_s(self) -> float:
        """What the serving process has used of the processor since it began."""
        stat = Path(f"/proc/{self.running.child('edge_node.serving')}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_kb(self) -> int:
        """The serving process's own memory."""
        status = Path(f"/proc/{self.running.child('edge_node.serving')}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))

    @contextmanager
    def attacked(self, attack: str) -> Iterator[None]:
        """Somebody with the other key attacks."""
        ready = self.running.ready
        where = (ready["grpc"], ready["http"], str(self.files.ca), self.greedy)
        command = [sys.executable, "-m", "tests.e2e.serving_attackers", attack, *where]
        attacker = subprocess.Popen(command, start_new_session=True)  # which its priority is of
        try:
            time.sleep(BEFORE_S)
            yield
            assert attacker.poll() is None, "the attacker has given up"
        finally:
            attacker.kill()
            attacker.wait()


@contextmanager
def defended(folder: Path, limits: str = "") -> Iterator[Defended]:
    """A server as it would be beyond loopback."""
    onnx_model(folder / "twice.onnx")
    files = Authority(folder / "authority").issue("server", server=True)
    config = folder / "edge-node.toml"
    config.write_text(
        f'[serving]\nrequire_key = true\nkey_file = "{folder / "keys"}"\ntls_cert = "{files.certificate}"\n'
        f'tls_key = "{files.key}"\n{limits}'
    )
    keys = [_key(folder / "keys", name) for name in ("honest", "greedy")]
    with serving(folder / "twice.onnx", options=("--config", str(config)), cache=folder / "cache") as running:
        yield Defended(running, files, *keys)


def _key(file: Path, name: str) -> str:
    command = [sys.executable, "-m", "edge_node", "key", "create", "--name", name, "--key-file", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Honest:
    """Asks at a steady pace: the times of a round, and what was lost."""

    def __init__(self, server: Defended) -> None:
        trusted = grpc.ssl_channel_credentials(server.files.ca.read_bytes())
        self._channel = grpc.secure_channel(server.running.ready["grpc"], trusted)
        self._stub: Any = stub_on(self._channel)
        self._metadata = (("authorization", f"Bearer {server.honest}"),)
        self.lost: list[str] = []

    def __enter__(self) -> Self:
        self.times()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def times(self, asks: int = ASKS) -> list[float]:
        """The seconds that each ask of a round takes. What is late is not caught up: that would be too much at once."""
        times, due = [], time.perf_counter()
        for _ in range(asks):
            time.sleep(max(0.0, due - time.perf_counter()))
            asked = time.perf_counter()
            self._ask()
            times.append(time.perf_counter() - asked)
            due = asked + EVERY_S
        return times

    def _ask(self) -> None:
        try:
            answer = self._stub.ModelInfer(request("twice"), metadata=self._metadata, timeout=20)
        except grpc.RpcError as error:
            self.lost.append(f"{error.code()}: {error.details()}")
        else:
            if answer.raw_output_contents[0] != TWICE:
                self.lost.append("a wrong answer")


@dataclass
class Peak:
    """The most memory while the block runs, above what there was before."""

    server: Defended
    before: int = 0
    most: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.before = self.most = self.server.memory_kb()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth_kb(self) -> int:
        """So much more it was."""
        return self.most - self.before

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self.server.memory_kb())
