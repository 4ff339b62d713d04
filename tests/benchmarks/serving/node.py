"""The node as a server among others: `edge-node serve` with one model, asked over gRPC, REST and with shared memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import grpc

from protos.inference import grpc_service_pb2 as oip
from tests.benchmarks.serving.load import Request
from tests.benchmarks.serving.peers import MODEL, Values, grpc_body
from tests.benchmarks.serving.started import Server, Start

REGISTER = "/inference.GRPCInferenceService/SystemSharedMemoryRegister"
OUTPUT_BYTES = 1 << 16


def start(model: Path, *options: str) -> Start:
    """Starts `edge-node serve` on a link to the file that gives the model the name every server's has."""

    def begun(ports: tuple[int, int], log: Path) -> "subprocess.Popen[bytes]":
        link = log.parent / f"{MODEL}{model.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(model)
        http, rpc = (f"127.0.0.1:{port}" for port in ports)
        addresses = ("--grpc", rpc, "--http", http, "--metrics", "127.0.0.1:0")
        command = [sys.executable, "-m", "edge_node", "serve", str(link), *addresses, *options]
        with log.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    return begun


@contextmanager
def in_shared_memory(server: Server, address: str, values: Values) -> Iterator[Request]:
    """The same request with its input in shared memory that the server knows."""
    memory = SharedMemory(create=True, size=values.nbytes)
    try:
        assert memory.buf is not None
        memory.buf[: values.nbytes] = values.tobytes()
        asked = oip.SystemSharedMemoryRegisterRequest(name="bench", key=f"/{memory.name}", byte_size=values.nbytes)
        with grpc.insecure_channel(address) as channel:
            channel.unary_unary(
                REGISTER,
                oip.SystemSharedMemoryRegisterRequest.SerializeToString,
                oip.SystemSharedMemoryRegisterResponse.FromString,
            )(asked, timeout=5)
        yield Request(address, grpc_body(values, "bench"))
    finally:
        memory.close()
        memory.unlink()
