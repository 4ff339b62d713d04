"""`edge-node serve` as a process of its own for tests, and clients that ask it without a pause."""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from protos.inference import grpc_service_pb2 as oip
from protos.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub

ANY_PORT = "127.0.0.1:0"
FOUR = struct.pack("<4f", 1, 2, 3, 4)
TWICE = struct.pack("<4f", 2, 4, 6, 8)
"""what tests/conformance/tiny_models.py answers to `FOUR`"""
STOP_S = 20.0
_PIDFD_GETFD = 438
"""the same number on every architecture"""


def stub_on(channel: grpc.Channel) -> Any:
    """The generated stub of the protocol's service, which has no types."""
    return GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]


@dataclass
class Running:
    """A running `edge-node serve`: what it has said so far, a JSON document a line."""

    process: subprocess.Popen[str]
    said: list[dict[str, Any]]
    ready: dict[str, Any]
    channel: grpc.Channel
    stub: Any = field(init=False)

    def __post_init__(self) -> None:
        self.stub = stub_on(self.channel)

    def ask(self, model: str, version: str = "", timeout_s: float = 20.0) -> bytes:
        """The answer to `FOUR`."""
        return bytes(self.stub.ModelInfer(request(model, version), timeout=timeout_s).raw_output_contents[0])

    def states(self) -> dict[tuple[str, str], str]:
        """The index: the state of each model and version."""
        index = self.stub.RepositoryIndex(oip.RepositoryIndexRequest(), timeout=STOP_S)
        return {(one.name, one.version): one.state for one in index.models}

    def is_ready(self) -> bool:
        """What readiness says."""
        return bool(self.stub.ServerReady(oip.ServerReadyRequest(), timeout=STOP_S).ready)

    def load(self, model: str) -> None:
        """Have a model loaded."""
        self.stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=model), timeout=60)

    def unload(self, model: str) -> None:
        """Have a model unloaded."""
        self.stub.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name=model), timeout=60)

    def child(self, module: str) -> int:
        """The process id of the child that runs a module."""
        found = [pid for pid in _children(self.process.pid) if module in _command(pid)]
        assert len(found) == 1, f"{len(found)} processes run {module}"
        return found[0]

    def stop(self) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


class Clients:
    """Ask over gRPC from several threads, one ask after the other, while the block runs.

    `versions` are those that answered, with how often; `lost` what had no answer, or not the one that was expected.
    """

    def __init__(
        self, address: str, ask: oip.ModelInferRequest, expect: Callable[[bytes], bool] = bool, count: int = 2
    ) -> None:
        self.versions: Counter[str] = Counter()
        self.lost: list[str] = []
        self._expect = expect
        self._over = threading.Event()
        self._counting = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(address, ask)) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str, ask: oip.ModelInferRequest) -> None:
        with grpc.insecure_channel(address) as channel:
            stub = stub_on(channel)
            while not self._over.is_set():
                try:
                    answer = stub.ModelInfer(ask, timeout=20)
                except grpc.RpcError as error:
                    self._count("", f"{error.code()}: {error.details()}")
                else:
                    raw = answer.raw_output_contents[0]
                    self._count(answer.model_version, "" if self._expect(raw) else f"wrong: {raw!r}")

    def _count(self, version: str, lost: str) -> None:
        with self._counting:
            if lost:
                self.lost.append(lost)
            else:
                self.versions[version] += 1


def request(model: str, version: str = "") -> oip.ModelInferRequest:
    """An ask with `FOUR`."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])
    return oip.ModelInferRequest(model_name=model, model_version=version, inputs=[tensor], raw_input_contents=[FOUR])


@contextmanager
def serving(*paths: Path, options: tuple[str, ...] = (), cache: Path) -> Iterator[Running]:
    """`edge-node serve` of some paths on free ports, ended with the block. `cache` is its cache folder."""
    process = _started(paths, ("--grpc", ANY_PORT, "--http", ANY_PORT, "--metrics", ANY_PORT, *options), cache)
    try:
        said: list[dict[str, Any]] = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(json.loads(line))
            if "ready" in said[-1]:
                break
        else:
            raise AssertionError(f"it ended before it was ready: {process.stderr and process.stderr.read()}")
        reader = threading.Thread(target=lambda: said.extend(map(json.loads, process.stdout or ())))
        reader.start()
        with grpc.insecure_channel(said[-1]["grpc"]) as channel:
            yield Running(process, said, said[-1], channel)
        process.terminate()
        process.wait(STOP_S)
        reader.join()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


def refused(*paths: Path, options: tuple[str, ...] = (), cache: Path) -> tuple[int, str]:
    """The exit code and standard error of an `edge-node serve` that does not come to serve."""
    process = _started(paths, ("--grpc", ANY_PORT, "--http", ANY_PORT, "--metrics", ANY_PORT, *options), cache)
    with process:
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def _started(paths: tuple[Path, ...], options: tuple[str, ...], cache: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "edge_node", "serve", *map(str, paths), "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def hang_up_lanes(pid: int) -> None:
    """End the lanes of a worker, which lives on, as does the serving process at their other ends."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    places = [int(link.name) for link in links if str(link.readlink()).startswith("socket:")]
    process = os.pidfd_open(pid)
    try:
        for place in places:
            with socket.socket(fileno=_taken(process, place)) as held:
                if held.family == socket.AF_UNIX and str(held.getpeername()).endswith("/lanes"):
                    held.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(process)


def _taken(process: int, place: int) -> int:
    """A descriptor of another process as one of ours: pidfd_getfd(2)."""
    found: int = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, place, 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return found
