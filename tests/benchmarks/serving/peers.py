"""The other servers: what each needs, how it is started, how it is asked.

Each has an environment of its own under build/environments, made when it is first wanted. One that cannot be
installed is a row that says so.
"""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from protos.inference import grpc_service_pb2 as oip
from protos.inference.datatypes import DATATYPES
from tests.benchmarks.serving.load import Request
from tests.conftest import ROOT

SERVERS = Path(__file__).parent / "servers"
ENVIRONMENTS = ROOT / "build" / "environments"
INSTALL_S = 900
MODEL = "m"

Values = NDArray[np.generic]


class Absent(Exception):
    """A server that cannot be installed here; the reason in one line."""


@dataclass(frozen=True)
class Peer:
    """A server. `packages` empty: it runs in our own environment. `command` follows its Python or program."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    request: Callable[[str, str, Values], Request]
    """from the addresses of REST and gRPC and an input"""
    product: bool = True
    """something that people deploy, not a script to compare with"""


def grpc_body(values: Values, region: str = "") -> bytes:
    """A serialized ModelInferRequest, its input's bytes in it or in registered shared memory."""
    request = oip.ModelInferRequest(model_name=MODEL)
    given = request.inputs.add(name="input", datatype=DATATYPES[values.dtype.name], shape=values.shape)
    if region:
        given.parameters["shared_memory_region"].string_param = region
        given.parameters["shared_memory_byte_size"].int64_param = values.nbytes
    else:
        request.raw_input_contents.append(values.tobytes())
    return request.SerializeToString()


def by_grpc(http: str, grpc: str, values: Values) -> Request:
    """Over gRPC, the input as raw bytes."""
    return Request(grpc, grpc_body(values))


def by_rest(http: str, grpc: str, values: Values) -> Request:
    """Over REST with the binary tensor data extension."""
    given = {"name": "input", "shape": values.shape, "datatype": DATATYPES[values.dtype.name]}
    head = msgspec.json.encode(
        {
            "inputs": [{**given, "parameters": {"binary_data_size": values.nbytes}}],
            "parameters": {"binary_data_output": True},
        }
    )
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return Request(http, head + values.tobytes(), f"/v2/models/{MODEL}/infer", grpc=False, headers=headers)


def by_base64(path: str) -> Callable[[str, str, Values], Request]:
    """Over REST with base64 in JSON."""

    def request(http: str, grpc: str, values: Values) -> Request:
        body = msgspec.json.encode({"b64": base64.b64encode(values.tobytes()).decode()})
        return Request(http, body, path, grpc=False, headers={"Content-Type": "application/json"})

    return request


ONNX = "onnxruntime==1.32.0"
PEERS = (
    Peer("naive gRPC, threads", (), ("naive.py", "threads"), by_grpc, product=False),
    Peer("naive gRPC, asyncio", (), ("naive.py", "aio"), by_grpc, product=False),
    Peer("Triton, gRPC", ("nvidia-pytriton==0.7.0", ONNX), ("triton.py",), by_grpc),
    Peer("Triton, REST", ("nvidia-pytriton==0.7.0", ONNX), ("triton.py",), by_rest),
    # MLServer's workers fail on newer uvloop: no current event loop
    Peer("MLServer, gRPC", ("mlserver==1.7.1", ONNX, "uvloop<0.22"), ("mlstart.py",), by_grpc),
    Peer("LitServe", ("litserve==0.2.19", ONNX), ("litserver.py",), by_base64("/predict")),
    Peer("BentoML", ("bentoml==1.4.39", ONNX), ("bentoml", "serve", "bento:Node"), by_base64("/infer")),
)

CEILING = Peer("ceiling", (), ("ceiling.py",), by_grpc, product=False)
"""gRPC and the engine with nothing between: what any server of our kind could at best reach here"""


def start(
    peer: Peer, model: Path, ports: tuple[int, int], log: Path, *, inference: bool = True
) -> "subprocess.Popen[bytes]":
    """Start a peer on the ports of REST and gRPC, in a session of its own.

    Raises:
        Absent: it cannot be installed.
    """
    environment = {**os.environ, "MODEL": str(model), "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{SERVERS}"}
    quiet = {"BENTOML_DO_NOT_TRACK": "true", **({} if inference else {"NOOP": "1"})}
    with log.open("ab") as output:
        return subprocess.Popen(
            _command(peer, ports),
            cwd=SERVERS,
            env={**environment, **quiet},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _command(peer: Peer, ports: tuple[int, int]) -> list[str]:
    python = _python(peer)
    if peer.command[0].endswith(".py"):
        return [str(python), *peer.command, *map(str, ports)]
    return [str(python.with_name(peer.command[0])), *peer.command[1:], "--host", "127.0.0.1", "--port", str(ports[0])]


def _python(peer: Peer) -> Path:
    return environment(peer.packages) if peer.packages else Path(sys.executable)


def environment(packages: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages, made where it is missing.

    Raises:
        Absent: they cannot be installed.
    """
    folder = ENVIRONMENTS / f"peer-{packages[0].partition('=')[0]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        done = subprocess.run(pip, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            raise Absent(f"cannot be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        (folder / "ready").touch()
    return python
