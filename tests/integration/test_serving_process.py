"""The serving process with real workers: it answers, outlives them, swaps, says what it did, ends as it should."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import grpc
import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_node.errors import BadInput
from edge_node.lane.messages import Answer, Ask, Hello, Port, Tensor
from edge_node.lane.slot import aligned, end_of
from edge_node.sandbox.confinement import Confinement
from edge_node.sandbox.support import support
from edge_node.serving.client import ServingFailed, ServingProcess
from edge_node.serving.control import Listening, ModelState, Timing
from edge_node.serving.settings import ServingSettings
from edge_node.telemetry.system import pss_kb
from edge_node.worker.client import ProcessWorker
from edge_node.worker.handle import new_worker
from edge_node.worker.messages import LaneOptions, Worker
from protos.inference import grpc_service_pb2 as oip
from protos.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from tests.conformance.tiny_models import onnx_model
from tests.unit.serving.stub_worker import StubWorker
from tests.waiting import until

ANY_PORT = "127.0.0.1:0"
FOUR = struct.pack("<4f", 1, 2, 3, 4)
TWICE = struct.pack("<4f", 2, 4, 6, 8)
"""what tests/conformance/tiny_models.py answers to `FOUR`"""


class Node:
    """A serving process, its worker, and a client."""

    def __init__(self, folder: Path, serving: ServingProcess, listening: Listening) -> None:
        self.folder = folder
        self.serving = serving
        self.listening = listening
        self.workers: list[Worker] = []
        self.channel = grpc.aio.insecure_channel(listening.grpc)
        self.stub = GRPCInferenceServiceStub(self.channel)  # type: ignore[no-untyped-call] # generated

    async def session(self, session: str, model: Path, worker: Worker | None = None) -> Worker:
        """A worker that has loaded a model file, with a lane to the serving process."""
        if worker is None:
            worker = new_worker("process", Confinement(readable=(str(model.parent),)))
            self.workers.append(worker)
            await worker.start_worker()
        await worker.load(session, model, model.name, 1, 1)
        await worker.open_lane(session, self.listening.lanes, LaneOptions())
        return worker

    async def ask(self, model: str = "m") -> oip.ModelInferResponse:
        """The answer to `FOUR`."""
        tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])
        request = oip.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[FOUR])
        answer: oip.ModelInferResponse = await self.stub.ModelInfer(request)
        return answer


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Node]:
    """A serving process on free ports."""
    serving = ServingProcess(settings(folder))
    one = Node(folder, serving, await serving.start())
    try:
        yield one
    finally:
        await one.channel.close()
        await serving.close()
        for worker in one.workers:
            await worker.close()


def settings(folder: Path) -> ServingSettings:
    """Free ports, and the lanes in a folder."""
    return ServingSettings(lanes=str(folder / "lanes"), grpc=ANY_PORT, http=ANY_PORT, metrics=ANY_PORT)


@pytest.mark.parametrize("file", ["mobilenet_v2_int8.onnx", "mobilenet_v2_int8.tflite"])
async def test_a_real_model_knows_a_parrot(data: Path, tmp_path: Path, file: str) -> None:
    labels = (data / "models" / "imagenet_labels.txt").read_text().splitlines()
    photo = np.asarray(Image.open(data / "images" / "parrot.jpg").convert("RGB").resize((224, 224)), np.uint8)
    async with node(tmp_path) as one:
        await one.session("real", data / "models" / file)
        await one.serving.serve("mobilenet", "1", "real", "stub")
        metadata = await one.stub.ModelMetadata(oip.ModelMetadataRequest(name="mobilenet"))
        name, shape = metadata.inputs[0].name, metadata.inputs[0].shape
        tensor = oip.ModelInferRequest.InferInputTensor(name=name, datatype="UINT8", shape=shape)
        wanted = oip.ModelInferRequest.InferRequestedOutputTensor(name=metadata.outputs[0].name)
        wanted.parameters["classification"].int64_param = 1
        request = oip.ModelInferRequest(model_name="mobilenet", inputs=[tensor], outputs=[wanted])
        request.raw_input_contents.append(photo.tobytes())
        answer = await one.stub.ModelInfer(request)
        held_kb = pss_kb(one.serving.pid)
    best = answer.raw_output_contents[0][4:].decode().split(":")
    assert labels[int(best[1])] == "macaw"
    assert held_kb is not None
    assert held_kb < 45 * 1024


async def test_a_worker_that_is_killed_is_waited_for_and_its_successor_answers(tmp_path: Path) -> None:
    model = onnx_model(tmp_path / "m.onnx")
    async with node(tmp_path) as one:
        worker = await one.session("s1", model)
        await one.serving.serve("m", "1", "s1", "stub")
        assert (await one.ask()).raw_output_contents == [TWICE]
        assert isinstance(worker, ProcessWorker)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        asking = asyncio.create_task(one.ask())
        await one.session("s1", model)
        # This one may have been with the worker when it died: then it hears so, and never waits in vain.
        with suppress_not_ready():
            assert (await asking).raw_output_contents == [TWICE]
        assert (await one.ask()).raw_output_contents == [TWICE]


@contextmanager
def suppress_not_ready() -> Iterator[None]:
    """UNAVAILABLE is an answer too."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - where it is raised at all


async def test_versions_are_swapped_between_two_requests(tmp_path: Path) -> None:
    model = onnx_model(tmp_path / "m.onnx")
    async with node(tmp_path) as one:
        worker = await one.session("v0", model)
        await one.serving.serve("m", "0", "v0", "stub")

        async def keep_asking() -> list[str]:
            versions: list[str] = []
            while "3" not in versions:
                versions.append((await one.ask()).model_version)
            return versions

        clients = [asyncio.create_task(keep_asking()) for _ in range(3)]
        for number in (1, 2, 3):
            await one.session(f"v{number}", model, worker)
            await one.serving.serve("m", str(number), f"v{number}", "stub")
            await one.serving.withdraw(f"v{number - 1}")
            await worker.unload(f"v{number - 1}")
        heard = await asyncio.gather(*clients)
    assert heard == [sorted(versions) for versions in heard]


async def test_it_says_what_it_did_and_what_the_parent_told_it(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        wanted: list[str] = []

        async def load(model: str) -> None:
            if model == "bad":
                raise BadInput("bad.onnx is no model")
            wanted.append(model)

        one.serving.on_load = load
        one.serving.index((ModelState("bad", "1", "UNAVAILABLE", "bad.onnx is no model"),))
        one.serving.timing(Timing("m", "1", "cold_start", 1.5))
        await one.stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="m"))
        with pytest.raises(grpc.aio.AioRpcError, match=r"failed to load 'bad', bad\.onnx is no model"):
            await one.stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="bad"))
        with pytest.raises(grpc.aio.AioRpcError, match="unknown model: 'm'"):
            await one.ask()
        metrics = await asyncio.to_thread(read, f"http://{one.listening.metrics}/metrics")
        await until(lambda: one.serving.served is not None and one.serving.served.refused, "what was refused")
    assert wanted == ["m"]
    assert 'edge_cold_start_seconds{model="m",version="1"} 1.5' in metrics
    assert 'edge_rejected_total{reason="not_found"} 1.0' in metrics


def read(address: str) -> str:
    """A page."""
    with urllib.request.urlopen(address) as page:
        content: bytes = page.read()
    return content.decode()


async def test_what_has_begun_is_answered_before_it_ends(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        worker = StubWorker(one.listening.lanes, TINY, double)
        await one.serving.serve("m", "1", TINY.session, "stub")
        worker.gate.clear()
        asking = [asyncio.create_task(one.ask()) for _ in range(5)]
        await until(lambda: one.serving.served and one.serving.served.in_flight == 5, "all to be in flight")
        closing = asyncio.create_task(one.serving.close())
        await asyncio.sleep(0.05)
        worker.gate.set()
        assert [list(answer.raw_output_contents) for answer in await asyncio.gather(*asking)] == [[TWICE]] * 5
        await closing
        worker.close()
        with pytest.raises(ServingFailed, match="was closed"):
            await one.serving.withdraw(TINY.session)


TINY = Hello("tiny", (Port("x", "FP32", (1, 4)),), (Port("y", "FP32", (1, 4)),), "stub", "cpu")


def double(ask: Ask, slot: memoryview) -> Answer:
    """As the tiny model."""
    start = aligned(end_of(ask.tensors, 0))
    slot[start : start + len(TWICE)] = TWICE
    return Answer((Tensor("y", "FP32", (1, 4), start, len(TWICE)),))


def status_of(pid: int | None) -> dict[str, str]:
    """What the kernel says of a process."""
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


@pytest.mark.skipif(bool(support().missing), reason=f"this kernel has {support().text}")
@pytest.mark.parametrize(("sandbox", "filters"), [("require", 2), ("off", 0)])
async def test_it_is_confined_before_it_takes_clients(
    tmp_path: Path, sandbox: Literal["require", "off"], filters: int
) -> None:
    """What a confined server may not is in `test_sandbox`."""
    serving = ServingProcess(msgspec.structs.replace(settings(tmp_path), sandbox=sandbox))
    listening = await serving.start()
    try:
        status = status_of(serving.pid)
        assert int(status["Seccomp_filters"]) >= filters
        assert (status["NoNewPrivs"] == "1") == (sandbox == "require")
        assert listening.sandbox == (support().text if filters else "not confined: serving.sandbox = off")
    finally:
        await serving.close()


async def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        serving = ServingProcess(msgspec.structs.replace(settings(tmp_path), metrics=address))
        with pytest.raises(ServingFailed, match=f"metrics at {address}: "):
            await serving.start()
        await serving.close()


async def test_one_that_is_killed_says_so_and_nobody_waits(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        ends: list[str] = []
        one.serving.on_exit = ends.append
        waiting = asyncio.create_task(one.serving.serve("m", "1", "never", "stub"))
        await asyncio.sleep(0)
        assert one.serving.pid is not None
        os.kill(one.serving.pid, signal.SIGKILL)
        with pytest.raises(ServingFailed, match="was killed by SIGKILL"):
            await waiting
    assert ends == ["the serving process was killed by SIGKILL"]


PARENT = """
import asyncio, sys
from edge_node.serving.client import ServingProcess
from edge_node.serving.settings import ServingSettings
async def main():
    serving = ServingProcess(ServingSettings(lanes=sys.argv[1], grpc="", http="", metrics=""))
    await serving.start()
    print(serving.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_it_ends_with_its_parent_and_inherits_no_secrets(tmp_path: Path) -> None:
    environment = {**os.environ, "NEARFIELD_TOKEN": "secret", "AWS_SECRET": "secret"}
    command = [sys.executable, "-c", PARENT, str(tmp_path / "lanes")]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    inherited = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
    parent.kill()
    await parent.wait()
    await until(lambda: _ended(pid), "the serving process to end")
    assert b"PATH=" in inherited
    assert b"secret" not in inherited


def _ended(pid: int) -> bool:
    """No such process, or nobody has fetched its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
