"""A server as it is measured: started, seen to answer, driven, and what it cost in processor time and memory."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc

from protos.inference import grpc_service_pb2 as oip
from tests.benchmarks.serving.load import INFER, Load, Request, load

START_S = 60.0
STARTS = 3
"""PyTriton gives its own parts one second to find each other, which is not always enough on two cores"""
_TICKS = os.sysconf("SC_CLK_TCK")

Start = Callable[[tuple[int, int], Path], "subprocess.Popen[bytes]"]
"""starts a server on the ports of REST and gRPC, with a file for what it says"""


@dataclass(frozen=True)
class Driven:
    """A load, and the server's processor milliseconds per answer."""

    load: Load
    cpu_ms: float


class Server:
    """A server that answers."""

    def __init__(self, process: "subprocess.Popen[bytes]", request: Request, started_s: float) -> None:
        self.request = request
        self.started_s = started_s
        self.process = process

    def drive(self, concurrency: int, seconds: float) -> Driven:
        """Drive it for a while."""
        before = cpu_s(self.process.pid)
        done = load(self.request, concurrency, seconds)
        # the generator's moment of warming up is in the processor time, not in its count
        answers = done.per_second * (seconds + 0.5)
        return Driven(done, (cpu_s(self.process.pid) - before) * 1e3 / answers)

    def pss_mb(self) -> float:
        """Its processes' proportional set size."""
        return sum(map(pss_kb, tree(self.process.pid))) / 1024

    def stop(self) -> None:
        """End its processes."""
        processes = tree(self.process.pid)
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@contextmanager
def started(start: Start, request: Callable[[str, str], Request], log: Path) -> Iterator[Server]:
    """A server that has given its first answer; started again where it gives none.

    Raises:
        RuntimeError: it never answers.
    """
    for _ in range(STARTS):
        ports = (free_port(), free_port())
        asked = request(*(f"127.0.0.1:{port}" for port in ports))
        begun = time.perf_counter()
        server = Server(start(ports, log), asked, 0.0)
        if _answers(server.process, asked):
            server.started_s = time.perf_counter() - begun
            break
        server.stop()
    else:
        raise RuntimeError(f"no answer: {_last_line(log)}")
    try:
        yield server
    finally:
        server.stop()


def ask(request: Request) -> None:
    """One request by a plain client.

    Raises:
        RuntimeError: no answer.
    """
    if not request.grpc:
        url = f"http://{request.address}{request.path}"
        try:
            urllib.request.urlopen(urllib.request.Request(url, request.body, dict(request.headers)), timeout=10).read()
        except OSError as error:
            raise RuntimeError(str(error)) from None
        return
    with grpc.insecure_channel(request.address) as channel:
        try:
            answer: bytes = channel.unary_unary(INFER, _as_they_are, _as_they_are)(request.body, timeout=10)
        except grpc.RpcError as error:
            raise RuntimeError(str(error)) from None
    if not oip.ModelInferResponse.FromString(answer).outputs:
        raise RuntimeError("an answer without outputs")


def _as_they_are(content: bytes) -> bytes:
    return content


def _answers(process: "subprocess.Popen[bytes]", request: Request) -> bool:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            ask(request)
        except RuntimeError:
            time.sleep(0.01)
        else:
            return True
    return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, children.read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and all below it."""
    return sum(map(_ticks, tree(pid))) / _TICKS


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def pss_kb(pid: int) -> int:
    """A process's proportional set size."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
