"""The load generator: `h2load` of nghttp2, one thread in C, a closed loop of prebuilt requests, for every server alike.

gRPC: one connection with so many streams. REST: so many connections, each with one request at a time.
"""

import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.figures import percentile

INFER = "/inference.GRPCInferenceService/ModelInfer"
WARM_S = 0.5


@dataclass(frozen=True)
class Request:
    """What is sent again and again."""

    address: str
    body: bytes
    path: str = INFER
    grpc: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """What came of it: answers per second, milliseconds, and requests that failed."""

    per_second: float
    p50: float
    p95: float
    p99: float
    failed: int


def load(request: Request, concurrency: int, seconds: float) -> Load:
    """Drive a server for so long after a moment to warm up.

    Raises:
        RuntimeError: nothing was answered; with what the generator said.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        frame = struct.pack(">BI", 0, len(request.body)) if request.grpc else b""
        body.write_bytes(frame + request.body)
        done = subprocess.run(_command(request, concurrency, seconds, body, log), capture_output=True, text=True)
        rows = [line.split("\t") for line in log.read_text(encoding="ascii").splitlines()] if log.exists() else []
    # start in microseconds, status, duration in microseconds
    taken = [int(row[2]) / 1e3 for row in rows if row[1] == "200"]
    if not taken:
        raise RuntimeError(
            f"{request.address}{request.path} answered nothing: {done.stdout[-300:]}{done.stderr[-300:]}"
        )
    p50, p95, p99 = (percentile(taken, each) for each in (50, 95, 99))
    return Load(len(taken) / seconds, p50, p95, p99, failed=len(rows) - len(taken))


def _command(request: Request, concurrency: int, seconds: float, body: Path, log: Path) -> list[str]:
    timing = ["-D", f"{int(seconds * 1000)}ms", "--warm-up-time", f"{int(WARM_S * 1000)}ms"]
    headers = {"content-type": "application/grpc", "te": "trailers"} if request.grpc else request.headers
    how = ["-c1", f"-m{concurrency}"] if request.grpc else ["--h1", f"-c{concurrency}", "-m1"]
    named = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    url = f"http://{request.address}{request.path}"
    return ["h2load", "-t1", *timing, "-d", str(body), "--log-file", str(log), *how, *named, url]
