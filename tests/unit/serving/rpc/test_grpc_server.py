"""The gRPC server on a real port, with the serving process's core behind it and stub workers behind that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from edge_node.serving.control import Batching, Index, ModelState
from edge_node.serving.grpc_server import start_grpc
from edge_node.serving.inference import Answered, Caller, Inference
from edge_node.serving.settings import Tls
from protos.inference import grpc_service_pb2 as oip
from protos.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from tests.authorities import Authority
from tests.unit.serving.world import World, world
from tests.waiting import until


class Reached:
    """A server, and a channel to it."""

    def __init__(self, here: World, channel: grpc.aio.Channel, address: str) -> None:
        self.here = here
        self.channel = channel
        self.address = address
        self.stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def reached(folder: Path, *, serve: bool = True, **settings: object) -> AsyncIterator[Reached]:
    """A server that answers for model `m`."""
    async with world(folder, grpc="127.0.0.1:0", **settings) as here:
        if serve:
            await here.serve()
        server = await start_grpc(here.server, here.settings)
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield Reached(here, channel, server.address)
        await server.close()


def request(data: bytes = b"abcd", model: str = "m", **more: Any) -> oip.ModelInferRequest:
    """A request of rows of four bytes."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="UINT8", shape=[len(data) // 4, 4])
    return oip.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[data], **more)


def raw(server: Reached, method: str) -> Any:
    """A call that takes bytes as they are."""
    return server.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")


async def status(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_an_answer_has_the_requests_id_and_the_models_version(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        answer = await server.stub.ModelInfer(request(id="7"))
        assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "7")
        assert list(answer.raw_output_contents) == [b"abcd"]


async def test_a_call_whose_request_never_comes_ends(tmp_path: Path) -> None:
    async with reached(tmp_path, body_s=0.05) as server:
        method: Any = server.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        call = method()
        code, reason = await status(call)
        assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "no request came within 0.05 s")
        assert server.here.server.rejected == {"deadline": 1}
        await server.stub.ModelInfer(request())


async def test_rubbish_is_refused_and_counted_and_the_server_goes_on(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        for rubbish in (b"\x3a\x7f", b"\x0a\x01\xff", b"\xff" * 40):
            code, reason = await status(raw(server, "ModelInfer")(rubbish))
            assert (code, reason.count("\n")) == (grpc.StatusCode.INVALID_ARGUMENT, 0)
        code, reason = await status(raw(server, "ModelConfig")(b"\xff"))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "the request is no ModelConfigRequest")
        assert server.here.server.rejected == {"invalid": 3}
        await server.stub.ModelInfer(request())


async def test_a_message_beyond_the_limit_is_refused_also_when_it_comes_compressed(tmp_path: Path) -> None:
    async with reached(tmp_path, request_bytes=10_000) as server:
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            code, _ = await status(server.stub.ModelInfer(request(bytes(20_000)), compression=compression))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await server.stub.ModelInfer(request())


async def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False) as server:
        worker = await server.here.serve(batching=Batching(queue=1, max_batch=1))
        worker.gate.clear()
        calls = [asyncio.ensure_future(server.stub.ModelInfer(request())) for _ in range(8)]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
        error = next(iter(done)).exception()
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing = dict(error.trailing_metadata())
        assert int(str(trailing["retry-after"])) >= 1
        assert int(str(trailing["grpc-retry-pushback-ms"])) >= 50
        worker.gate.set()
        await asyncio.wait(calls)


async def test_a_client_that_cancels_takes_its_ask_out_of_the_queue(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False) as server:
        worker = await server.here.serve(batching=Batching(max_batch=1))
        worker.gate.clear()
        model: Any = server.here.server.model("m", "")
        calls = [server.stub.ModelInfer(request()) for _ in range(4)]
        await until(lambda: model.waiting == 2)
        for call in calls:
            call.cancel()
        await until(lambda: not model.waiting)
        worker.gate.set()
        assert (await server.stub.ModelInfer(request())).raw_output_contents[0] == b"abcd"


async def test_a_deadline_that_passes_in_the_queue_is_kept(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False) as server:
        worker = await server.here.serve(batching=Batching(max_batch=1))
        worker.gate.clear()
        first = [server.stub.ModelInfer(request()) for _ in range(2)]
        await until(lambda: server.here.server.in_flight == 2)
        late = request()
        late.parameters["timeout"].int64_param = 20_000
        code, reason = await status(server.stub.ModelInfer(late))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "deadline" in reason
        worker.gate.set()
        for call in first:
            await call


async def test_a_stream_answers_each_request_and_says_which_one_failed(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        call = server.stub.ModelStreamInfer(iter([request(id="a"), request(model="nobody", id="b"), request(id="c")]))
        answers = [answer async for answer in call]
        assert {answer.infer_response.id: answer.error_message for answer in answers} == {
            "a": "",
            "b": "Request for unknown model: 'nobody' is not found",
            "c": "",
        }


async def test_a_stream_ends_with_a_status_where_the_client_wants_that(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        metadata = (("triton_grpc_error", "true"),)
        call = server.stub.ModelStreamInfer(iter([request(model="nobody")]), metadata=metadata)
        code, reason = await status(call.read())
        assert (code, reason) == (
            grpc.StatusCode.NOT_FOUND,
            "Request for unknown model: 'nobody' is not found",
        )


async def test_a_stream_reads_no_more_than_it_may_have_in_flight(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False, stream_requests=3) as server:
        worker = await server.here.serve(batching=Batching(max_batch=1))
        worker.gate.clear()
        call = server.stub.ModelStreamInfer(iter([request() for _ in range(20)]))
        await until(lambda: server.here.server.in_flight == 3)
        await server.stub.ServerLive(oip.ServerLiveRequest())
        assert server.here.server.in_flight == 3
        worker.gate.set()
        assert len([answer async for answer in call]) == 20


async def test_a_stream_that_is_cancelled_leaves_nothing_in_flight(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False) as server:
        worker = await server.here.serve(batching=Batching(max_batch=1))
        worker.gate.clear()
        call = server.stub.ModelStreamInfer(iter([request() for _ in range(20)]))
        await until(lambda: server.here.server.in_flight == 20)
        call.cancel()
        await until(lambda: not server.here.server.in_flight)
        worker.gate.set()
        await server.stub.ModelInfer(request())


async def test_health_follows_readiness_for_the_node_and_each_model(tmp_path: Path) -> None:
    async with reached(tmp_path, serve=False) as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        code, _ = await status(health.Check(health_pb2.HealthCheckRequest(service="m")))
        assert code is grpc.StatusCode.NOT_FOUND
        watched = health.Watch(health_pb2.HealthCheckRequest(service="m"))
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        await server.here.serve()
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.SERVING
        for service in ("", "m", "inference.GRPCInferenceService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        server.here.server.told(Index((), ready=False))
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_the_index_lists_all_models_or_those_that_are_ready(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        states = (ModelState("m", "1", "READY"), ModelState("n", "1", "UNAVAILABLE", "why"))
        server.here.server.told(Index(states))
        index = await server.stub.RepositoryIndex(oip.RepositoryIndexRequest())
        assert [(one.name, one.state, one.reason) for one in index.models] == [
            ("m", "READY", ""),
            ("n", "UNAVAILABLE", "why"),
        ]
        index = await server.stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True))
        assert [one.name for one in index.models] == ["m"]
        code, _ = await status(server.stub.RepositoryIndex(oip.RepositoryIndexRequest(repository_name="other")))
        assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_knows_the_service(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService")
        answer = await stub.ServerReflectionInfo(iter([asked])).read()
        assert b"ModelStreamInfer" in answer.file_descriptor_response.file_descriptor_proto[0]


async def test_a_port_that_is_taken_is_an_error_in_one_line(tmp_path: Path) -> None:
    async with reached(tmp_path) as server:
        again = msgspec.structs.replace(server.here.settings, grpc=server.address)
        with pytest.raises(OSError, match=f"{server.address} is in use"):
            await start_grpc(server.here.server, again)


@pytest.mark.parametrize("with_clients", [True, False])
async def test_with_tls_strangers_do_not_get_in_and_certificates_give_names(
    tmp_path: Path, with_clients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    own, client = authority.issue("node", server=True), authority.issue("camera-7")
    tls = Tls(str(own.key), str(own.certificate), str(own.ca) if with_clients else None)
    shown = grpc.ssl_channel_credentials(own.ca.read_bytes(), client.key.read_bytes(), client.certificate.read_bytes())
    nothing_shown = grpc.ssl_channel_credentials(own.ca.read_bytes())
    async with reached(tmp_path, tls=tls) as server:
        callers: list[str] = []
        infer = server.here.server.infer

        async def noting(asked: Inference, caller: Caller) -> Answered:
            callers.append(caller.name)
            return await infer(asked, caller)

        monkeypatch.setattr(server.here.server, "infer", noting)
        for credentials in (shown, nothing_shown):
            async with grpc.aio.secure_channel(server.address, credentials) as channel:
                stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
                if with_clients and credentials is nothing_shown:
                    assert (await status(stub.ModelInfer(request())))[0] is grpc.StatusCode.UNAVAILABLE
                else:
                    await stub.ModelInfer(request())
        assert (await status(server.stub.ModelInfer(request())))[0] is grpc.StatusCode.UNAVAILABLE
        assert callers == (["camera-7"] if with_clients else ["", ""])
