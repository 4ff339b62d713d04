"""The node's questions to its coordinator, through a real child process and a real gRPC server that misbehaves."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_node.errors import BadInput, NearfieldError, Refused, Unreachable
from edge_node.link.coordinator import fetch_blob, get_manifest, register
from protos.digest import digest_of
from protos.fleet.v1 import artifact_pb2, artifact_pb2_grpc, node_pb2, node_pb2_grpc

BLOB = bytes(range(256)) * 4096
DIGEST = digest_of(BLOB)
NODE = "0123456789abcdef" * 2


class Coordinator(node_pb2_grpc.NodeServiceServicer, artifact_pb2_grpc.ArtifactServiceServicer):
    """Answers as the test wants."""

    def __init__(self) -> None:
        self.reply = node_pb2.RegisterNodeReply(
            node_id=NODE,
            broker_url="mqtt://127.0.0.1:1883",
            topic_prefix="edge/v1",
            trusted_keys=[bytes(32)],
            name="cam-3",
            site="store-12",
        )
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.break_after: int | None = None
        self.endless = False
        self.offsets: list[int] = []

    def RegisterNode(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's name)
        if self.refusal is not None:
            context.abort(*self.refusal)
        return self.reply

    def GetManifest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return artifact_pb2.Manifest(digest=request.digest, content=b"{}\xff")

    def FetchBlob(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        if request.digest != DIGEST:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no blob {request.digest}")
        self.offsets.append(request.offset)
        end = self.break_after or len(BLOB)
        for start in range(request.offset, end, 65536):
            yield artifact_pb2.Chunk(data=BLOB[start : min(start + 65536, end)])
        while self.endless and context.is_active():
            yield artifact_pb2.Chunk(data=bytes(1000))
        if self.break_after is not None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


@pytest.fixture
async def address(coordinator: Coordinator) -> AsyncIterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    node_pb2_grpc.add_NodeServiceServicer_to_server(coordinator, server)  # type: ignore[no-untyped-call]
    artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(coordinator, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    await asyncio.to_thread(server.stop(0).wait)


async def registered(address: str) -> Any:
    return await register(address, node_id=None, name="cam-3", site="store-12", labels={"a": "b"}, facts_json="{}")


async def test_a_node_is_registered(address: str) -> None:
    registration = await registered(address)
    assert registration.node_id == NODE
    assert registration.trusted_keys == (bytes(32),)
    assert (registration.broker_url, registration.topic_prefix) == ("mqtt://127.0.0.1:1883", "edge/v1")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("node_id", "../etc", "node id '../etc' is not 32 hexadecimal digits"),
        ("name", "a/b", "node name 'a/b' is not a name"),
        ("site", "#", "site '#' is not a name"),
        ("topic_prefix", "+", "topic prefix"),
        ("broker_url", "mqtt://10.0.0.1", "not on the loopback interface"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_refused(
    coordinator: Coordinator, address: str, field: str, value: str, complaint: str
) -> None:
    setattr(coordinator.reply, field, value)
    with pytest.raises(Refused, match=rf"the answer of coordinator {address} is not in order: .*{complaint}"):
        await registered(address)


async def test_a_key_of_another_length_is_refused(coordinator: Coordinator, address: str) -> None:
    coordinator.reply.trusted_keys.append(b"short")
    with pytest.raises(Refused, match="raw Ed25519 keys of 32 bytes"):
        await registered(address)


async def test_a_refusal_is_the_coordinators_own_line(coordinator: Coordinator, address: str) -> None:
    coordinator.refusal = (grpc.StatusCode.ALREADY_EXISTS, "cam-3 is taken at store-12:\nchoose another name")
    with pytest.raises(Refused, match=r"^cam-3 is taken at store-12: choose another name$"):
        await registered(address)


async def test_a_coordinator_that_fails_is_no_refusal(coordinator: Coordinator, address: str) -> None:
    coordinator.refusal = (grpc.StatusCode.INTERNAL, "disk full")
    with pytest.raises(NearfieldError, match=rf"^coordinator {address} failed: disk full$") as failure:
        await registered(address)
    assert not isinstance(failure.value, Refused)


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"^coordinator 127\.0\.0\.1:1: nobody answers: is edge-coordinator serve"):
        await registered("127.0.0.1:1")


@pytest.mark.parametrize(("address", "kind"), [("nonsense", BadInput), ("10.0.0.1:7070", Refused), (":7070", BadInput)])
async def test_other_addresses_are_not_even_dialled(address: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="coordinator"):
        await registered(address)


async def test_a_manifest_comes_as_it_was_sent(address: str) -> None:
    assert await get_manifest(address, DIGEST) == b"{}\xff"


async def test_a_blob_is_fetched_with_progress(address: str, tmp_path: Path) -> None:
    said: list[int] = []
    assert await fetch_blob(address, DIGEST, tmp_path / "blob", 0, said.append) == len(BLOB)
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert said[-1] == len(BLOB)


async def test_a_broken_download_goes_on_where_it_ended(coordinator: Coordinator, address: str, tmp_path: Path) -> None:
    coordinator.break_after = 300_000
    with pytest.raises(Unreachable):
        await fetch_blob(address, DIGEST, tmp_path / "blob")
    held = (tmp_path / "blob").stat().st_size
    assert held == 300_000
    coordinator.break_after = None
    assert await fetch_blob(address, DIGEST, tmp_path / "blob", held) == len(BLOB)
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert coordinator.offsets == [0, 300_000]


async def test_what_stood_behind_the_offset_is_lost(address: str, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(BLOB[:1000] + b"torn" * 1_000_000)
    await fetch_blob(address, DIGEST, tmp_path / "blob", 1000)
    assert (tmp_path / "blob").read_bytes() == BLOB


async def test_endless_data_stops_at_the_cap(coordinator: Coordinator, address: str, tmp_path: Path) -> None:
    coordinator.endless = True
    with pytest.raises(Refused, match=f"it sends more than the {len(BLOB)} bytes"):
        await fetch_blob(address, DIGEST, tmp_path / "blob", max_bytes=len(BLOB))
    assert (tmp_path / "blob").stat().st_size <= len(BLOB)


async def test_endless_data_stops_at_the_deadline(coordinator: Coordinator, address: str, tmp_path: Path) -> None:
    coordinator.endless = True
    with pytest.raises(Unreachable, match="no answer in time"):
        await fetch_blob(address, DIGEST, tmp_path / "blob", deadline_s=0.5)


async def test_a_blob_that_is_not_there_is_refused(address: str, tmp_path: Path) -> None:
    unknown = digest_of(b"unknown")
    with pytest.raises(Refused, match=f"^no blob {unknown}$"):
        await fetch_blob(address, unknown, tmp_path / "blob")


async def test_a_file_that_cannot_be_written_is_one_line(address: str, tmp_path: Path) -> None:
    with pytest.raises(NearfieldError, match=r"No such file or directory$"):
        await fetch_blob(address, DIGEST, tmp_path / "nowhere" / "blob")


async def test_a_fetch_that_is_cancelled_leaves_no_child(
    coordinator: Coordinator, address: str, tmp_path: Path
) -> None:
    coordinator.endless = True
    fetch = asyncio.create_task(fetch_blob(address, DIGEST, tmp_path / "blob"))
    async with asyncio.timeout(20):
        while not (tmp_path / "blob").exists():  # noqa: ASYNC110 (a file of another process)
            await asyncio.sleep(0.01)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch


def test_the_agents_side_imports_no_grpc_and_no_zeroconf() -> None:
    program = (
        "import sys, edge_node.link.coordinator, edge_node.link.discovery, edge_node.link.mqtt, edge_node.link.live;"
        "print(sorted({'grpc', 'zeroconf', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
