"""REST on a real port, with a worker that echoes: what plain clients see, and what hostile ones don't get."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edge_node.serving import http_listener
from edge_node.serving.http_listener import Listener
from edge_node.serving.http_server import start_http
from tests.unit.serving.stub_worker import StubWorker
from tests.unit.serving.world import World, world
from tests.waiting import until

INFER = "/v2/models/m/infer"
X = {"name": "x", "shape": [1, 4], "datatype": "UINT8"}
PLAIN = {"inputs": [{**X, "data": [[1, 2, 3, 4]]}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are looked at often."""
    monkeypatch.setattr(http_listener, "LOOK_S", 0.05)
    monkeypatch.setattr(http_listener, "LINGER_S", 0.1)


@dataclass
class Port:
    """A port of a server, its worker, and a client of it."""

    world: World
    worker: StubWorker
    listener: Listener
    client: aiohttp.ClientSession

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        async with self.client.get(path, **more) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def post(self, path: str, **more: Any) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        async with self.client.post(path, **more) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection without a client."""
        host, _, port = self.listener.address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def says(self, text: bytes) -> bytes:
        """All that comes back for some bytes, until the server hangs up."""
        reader, writer = await self.connect()
        writer.write(text)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def port(folder: Path, **settings: object) -> AsyncIterator[Port]:
    """A server at a free port that has the model `m`."""
    async with world(folder, http="127.0.0.1:0", **settings) as here:
        worker = await here.serve()
        listener = await start_http(here.server, here.settings)
        try:
            async with aiohttp.ClientSession(f"http://{listener.address}", auto_decompress=False) as client:
                yield Port(here, worker, listener, client)
        finally:
            await listener.close()


def binary(data: bytes) -> dict[str, Any]:
    """A request with a binary tensor."""
    head = json.dumps({"inputs": [{**X, "parameters": {"binary_data_size": len(data)}}]}).encode()
    return {"data": head + data, "headers": {"Inference-Header-Content-Length": str(len(head))}}


async def test_plain_json_is_answered_in_plain_json(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        status, answer = await here.post(INFER, json={**PLAIN, "id": "7"})
        assert status == 200
        assert answer["outputs"] == [{"name": "y", "datatype": "UINT8", "shape": [1, 4], "data": [1, 2, 3, 4]}]
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "m", "1")


async def test_what_is_wrong_is_said_in_json_and_the_server_goes_on(tmp_path: Path) -> None:
    wrong: list[tuple[str, dict[str, Any], int]] = [
        (INFER, {"data": b"{"}, 400),
        (INFER, {"json": {"inputs": []}}, 400),
        (INFER, {"json": {"inputs": [{**X, "name": "z", "data": [1, 2, 3, 4]}]}}, 400),
        (INFER, {"json": {"inputs": [{**X, "datatype": "FP32", "data": [1, 2, 3, 4]}]}}, 400),
        (INFER, {"json": {"inputs": [{**X, "shape": [1, 2, 2], "data": [1, 2, 3, 4]}]}}, 400),
        (INFER, {"json": {"inputs": [{**X, "shape": [1, 2**62, 2**62], "data": [1, 2, 3, 4]}]}}, 400),
        (INFER, {"json": {**PLAIN, "outputs": [{"name": "z"}]}}, 400),
        (INFER, binary(b"abc"), 400),
        ("/v2/models/x/infer", {"json": PLAIN}, 404),
        ("/v2/models/m/versions/9/infer", {"json": PLAIN}, 404),
        ("/v2/nowhere", {}, 404),
        ("/v2/models/m", {}, 405),
        ("/v2/logging", {}, 501),
        ("/v2/cudasharedmemory/region/r/register", {}, 501),
        ("/v2/repository/models/m/load", {"json": {"parameters": {"config": "{}"}}}, 501),
        ("/v2/systemsharedmemory/region/r/register", {"json": {"key": "/no", "byte_size": -1}}, 400),
    ]
    async with port(tmp_path) as here:
        for path, request, expected in wrong:
            status, answer = await here.post(path, **request)
            assert (path, status, list(answer)) == (path, expected, ["error"])
            assert answer["error"]
            assert "\n" not in answer["error"]
        assert (await here.post(INFER, json=PLAIN))[0] == 200
        assert here.world.server.rejected["invalid"] == 9
        assert here.world.server.rejected["not_found"] == 3


async def test_compression_goes_both_ways(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        request = binary(b"abcd")
        headers = {**request["headers"], "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
        async with here.client.post(INFER, data=gzip.compress(request["data"]), headers=headers) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert json.loads(gzip.decompress(await response.read()))["outputs"][0]["data"] == [*b"abcd"]


async def test_too_much_is_refused_before_it_is_read_however_it_comes(tmp_path: Path) -> None:
    async with port(tmp_path, request_bytes=1000, json_bytes=500) as here:
        head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: n\r\n"
        announced = await here.says(head + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert announced.startswith(b"HTTP/1.1 413 ")
        assert (await here.post(INFER, data=b"x" * 1001))[0] == 413
        assert (await here.post(INFER, data=iter_of(b"x" * 600, 2)))[0] == 413
        assert (await here.post(INFER, data=b"x" * 501))[0] == 413
        bomb = gzip.compress(bytes(2_000_000), 9)[:900]
        assert (await here.post(INFER, data=bomb, headers={"Content-Encoding": "gzip"}))[0] == 413


async def iter_of(chunk: bytes, times: int) -> AsyncIterator[bytes]:
    """A body in chunks."""
    for _ in range(times):
        yield chunk


async def test_curl_is_invited_to_send_a_large_body(tmp_path: Path) -> None:
    body = json.dumps(PLAIN).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: n\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    async with port(tmp_path) as here:
        reader, writer = await here.connect()
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_client_that_goes_away_takes_its_question_back(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        here.worker.gate.clear()
        _, writer = await here.connect()
        body = json.dumps(PLAIN).encode()
        writer.write(f"POST {INFER} HTTP/1.1\r\nHost: n\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await until(lambda: here.world.server.in_flight == 1)
        writer.close()
        await until(lambda: here.world.server.in_flight == 0)
        here.worker.gate.set()
        assert (await here.post(INFER, json=PLAIN))[0] == 200


async def test_a_question_whose_time_is_over_is_504(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        here.worker.gate.clear()
        status, answer = await here.post(INFER, json={**PLAIN, "parameters": {"timeout": 1}})
        here.worker.gate.set()
        assert (status, list(answer)) == (504, ["error"])


async def test_a_full_queue_is_429_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with port(tmp_path, bodies_bytes=100_000) as here:
        async with here.client.post(INFER, data=b"x" * 100_001) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "1"
        assert (await here.post(INFER, json=PLAIN))[0] == 200


async def test_what_is_no_http_is_refused_in_json(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        for text in (
            b"rubbish\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\nHost\r\n\r\n",
            b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        ):
            answer = await here.says(text)
            assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": "this is not HTTP/1.1"}


async def test_chunks_that_are_none_end_the_request(tmp_path: Path) -> None:
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with port(tmp_path) as here:
        assert b" 400 " in await here.says(head + b"zz\r\nrubbish")
        assert (await here.get("/v2/health/live"))[0] == 200


async def test_slow_heads_are_closed_and_slow_bodies_told(tmp_path: Path) -> None:
    async with port(tmp_path, header_s=0.1, body_s=0.1) as here:
        assert await here.says(b"GET /v2 HTT") == b""
        slow = await here.says(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\r\n{")
        assert slow.startswith(b"HTTP/1.1 408 ")


async def test_idle_connections_are_closed(tmp_path: Path) -> None:
    async with port(tmp_path, idle_s=0.1) as here:
        assert await here.says(b"") == b""
        assert (await here.says(b"GET /v2/health/live HTTP/1.1\r\nHost: n\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_where_there_are_too_many_connections_the_longest_idle_one_goes(tmp_path: Path) -> None:
    async with port(tmp_path, connections=2) as here:
        connections = [await here.connect() for _ in range(3)]
        assert await connections[0][0].read() == b""
        connections[2][1].write(b"GET /v2/health/live HTTP/1.1\r\nHost: n\r\n\r\n")
        assert (await connections[2][0].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in connections:
            writer.close()


async def test_a_client_that_reads_no_answer_is_closed(tmp_path: Path) -> None:
    async with port(tmp_path, write_s=0.1) as here:
        _, writer = await here.connect()
        writer.write(b"GET /v2/openapi.json HTTP/1.1\r\nHost: n\r\n\r\n" * 2000)
        await until(lambda: len(here.listener.connections) == 0, "the connection's end")
        writer.close()


async def test_pages_of_other_sites_do_not_ask(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        status, _ = await here.post(INFER, json=PLAIN, headers={"Origin": "https://evil.example"})
        assert status == 403


async def test_not_ready_is_400_by_the_protocol_and_503_for_probes(tmp_path: Path) -> None:
    async with port(tmp_path) as here:
        assert [(await here.get(path))[0] for path in ("/v2/health/ready", "/healthz")] == [200, 200]
        here.world.server.draining = True
        assert [(await here.get(path))[0] for path in ("/v2/health/ready", "/healthz")] == [400, 503]
        assert (await here.get("/v2/health/live"))[0] == 200
