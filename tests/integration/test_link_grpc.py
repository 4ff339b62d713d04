"""The node's questions to its coordinator, through a real child process and a real gRPC server that misbehaves."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_node.errors import BadInput, NearfieldError, Refused, Stranger, Unreachable
from edge_node.link.coordinator import Dial, Piece, fetch_blobs, get_manifest, register
from edge_node.link.tls import Credentials
from edge_node.link.validity import KnownTime
from protos.digest import digest_of
from protos.fleet.v1 import artifact_pb2, artifact_pb2_grpc, node_pb2, node_pb2_grpc
from tests.authorities import Authority, Files

BLOB = bytes(range(256)) * 4096
DIGEST = digest_of(BLOB)
NODE = "0123456789abcdef" * 2


class Coordinator(node_pb2_grpc.NodeServiceServicer, artifact_pb2_grpc.ArtifactServiceServicer):
    """Answers as the test wants."""

    def __init__(self) -> None:
        self.reply = node_pb2.RegisterNodeReply(
            node_id=NODE,
            broker_url="mqtts://0.0.0.0:8883",
            topic_prefix="edge/v1",
            trusted_keys=[bytes(32)],
            name="cam-3",
            site="store-12",
        )
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.break_after: int | None = None
        self.endless = False
        self.offsets: list[int] = []
        self.peers: set[str] = set()
        self.pause_s = 0.0

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
        self.peers.add(context.peer())
        time.sleep(self.pause_s)
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
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def credentials(authority: Authority) -> Credentials:
    files = authority.issue(NODE)
    return Credentials(str(files.certificate), str(files.key), str(files.ca))


@asynccontextmanager
async def serving(coordinator: Coordinator, server_files: Files, known: Authority) -> AsyncIterator[str]:
    """A coordinator with mutual TLS on a free port."""
    pairs = [(server_files.key.read_bytes(), server_files.certificate.read_bytes())]
    server = grpc.server(futures.ThreadPoolExecutor(2))
    node_pb2_grpc.add_NodeServiceServicer_to_server(coordinator, server)  # type: ignore[no-untyped-call]
    artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(coordinator, server)  # type: ignore[no-untyped-call]
    wanted = grpc.ssl_server_credentials(pairs, known.ca.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", wanted)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await asyncio.to_thread(server.stop(0).wait)


@pytest.fixture
async def dial(coordinator: Coordinator, authority: Authority, credentials: Credentials) -> AsyncIterator[Dial]:
    async with serving(coordinator, authority.issue("coordinator", server=True), authority) as address:
        yield Dial(address, credentials)


def piece(folder: Path, offset: int = 0, *, name: str = "blob", max_bytes: int = len(BLOB)) -> Piece:
    return Piece(DIGEST, str(folder / name), offset, max_bytes)


async def registered(dial: Dial) -> Any:
    return await register(dial, node_id=None, name="cam-3", site="store-12", labels={"a": "b"}, facts_json="{}")


async def test_a_node_is_registered(dial: Dial) -> None:
    registration = await registered(dial)
    assert registration.node_id == NODE
    assert registration.trusted_keys == (bytes(32),)
    assert (registration.broker_url, registration.topic_prefix) == ("mqtts://127.0.0.1:8883", "edge/v1")


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
    coordinator: Coordinator, dial: Dial, field: str, value: str, complaint: str
) -> None:
    setattr(coordinator.reply, field, value)
    with pytest.raises(Refused, match=rf"the answer of coordinator {dial.address} is not in order: .*{complaint}"):
        await registered(dial)


async def test_a_key_of_another_length_is_refused(coordinator: Coordinator, dial: Dial) -> None:
    coordinator.reply.trusted_keys.append(b"short")
    with pytest.raises(Refused, match="raw Ed25519 keys of 32 bytes"):
        await registered(dial)


async def test_a_refusal_is_the_coordinators_own_line(coordinator: Coordinator, dial: Dial) -> None:
    coordinator.refusal = (grpc.StatusCode.ALREADY_EXISTS, "cam-3 is taken at store-12:\nchoose another name")
    with pytest.raises(Refused, match=r"^cam-3 is taken at store-12: choose another name$"):
        await registered(dial)


async def test_a_coordinator_that_fails_is_no_refusal(coordinator: Coordinator, dial: Dial) -> None:
    coordinator.refusal = (grpc.StatusCode.INTERNAL, "disk full")
    with pytest.raises(NearfieldError, match=rf"^coordinator {dial.address} failed: disk full$") as failure:
        await registered(dial)
    assert not isinstance(failure.value, Refused)


async def test_nobody_there_is_unreachable(credentials: Credentials) -> None:
    with pytest.raises(Unreachable, match=r"^coordinator 127\.0\.0\.1:1: nobody answers: is edge-coordinator serve"):
        await registered(Dial("127.0.0.1:1", credentials))


@pytest.mark.parametrize("address", ["nonsense", ":7070"])
async def test_what_is_no_address_is_not_even_dialled(address: str, credentials: Credentials) -> None:
    with pytest.raises(BadInput, match="coordinator"):
        await registered(Dial(address, credentials))


async def test_a_stranger_at_the_address_hears_nothing(
    coordinator: Coordinator, authority: Authority, credentials: Credentials, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger").issue("coordinator", server=True)
    async with serving(coordinator, stranger, authority) as address:
        with pytest.raises(Stranger, match=rf"^{address} is not the coordinator that is trusted here"):
            await registered(Dial(address, credentials))


async def test_another_certificate_of_the_same_authority_is_no_coordinators(
    coordinator: Coordinator, authority: Authority, credentials: Credentials
) -> None:
    async with serving(coordinator, authority.issue("f" * 32), authority) as address:
        with pytest.raises(Stranger, match="is not the coordinator that is trusted here"):
            await registered(Dial(address, credentials))


async def test_a_server_whose_certificate_expired_is_not_believed_once_the_time_is_known(
    coordinator: Coordinator, authority: Authority, credentials: Credentials
) -> None:
    async with serving(coordinator, authority.issue("coordinator", server=True, expired=True), authority) as address:
        assert (await registered(Dial(address, credentials))).node_id == NODE
        with pytest.raises(Stranger, match="it expired on"):
            await registered(Dial(address, credentials, KnownTime(earliest=time.time())))


async def test_a_node_whose_certificate_is_not_taken_is_told_so(
    coordinator: Coordinator, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other").issue(NODE)
    credentials = Credentials(str(other.certificate), str(other.key), str(authority.ca))
    async with serving(coordinator, authority.issue("coordinator", server=True), authority) as address:
        with pytest.raises(Refused, match=rf"^coordinator {address} does not take this node's certificate"):
            await registered(Dial(address, credentials))


async def test_a_key_that_does_not_belong_to_the_certificate_is_one_line(
    authority: Authority, credentials: Credentials
) -> None:
    mixed = Credentials(credentials.certificate, str(authority.issue(NODE).key), credentials.authorities)
    with pytest.raises(NearfieldError, match=r"cannot be used .*edge-node enroll TOKEN --again"):
        await registered(Dial("127.0.0.1:1", mixed))


async def test_a_manifest_comes_as_it_was_sent(dial: Dial) -> None:
    assert (await get_manifest(dial, DIGEST)).content == b"{}\xff"


async def test_a_blob_is_fetched_with_progress(dial: Dial, tmp_path: Path) -> None:
    said: list[int] = []
    await fetch_blobs(dial, [piece(tmp_path)], said.append)
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert said[-1] == len(BLOB)


async def test_a_broken_download_goes_on_where_it_ended(coordinator: Coordinator, dial: Dial, tmp_path: Path) -> None:
    coordinator.break_after = 300_000
    with pytest.raises(Unreachable):
        await fetch_blobs(dial, [piece(tmp_path)])
    held = (tmp_path / "blob").stat().st_size
    assert held == 300_000
    coordinator.break_after = None
    await fetch_blobs(dial, [piece(tmp_path, held)])
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert coordinator.offsets == [0, 300_000]


async def test_many_blobs_come_in_one_child_and_one_connection(
    coordinator: Coordinator, dial: Dial, tmp_path: Path
) -> None:
    said: list[int] = []
    (tmp_path / "1").write_bytes(BLOB[:1000])
    pieces = [piece(tmp_path, 1000 if number == 1 else 0, name=str(number)) for number in range(5)]
    await fetch_blobs(dial, pieces, said.append)
    assert all((tmp_path / str(number)).read_bytes() == BLOB for number in range(5))
    assert said[-1] == 5 * len(BLOB)
    assert len(coordinator.peers) == 1


async def test_blobs_that_came_before_the_line_broke_are_kept(
    coordinator: Coordinator, dial: Dial, tmp_path: Path
) -> None:
    unknown = Piece(digest_of(b"unknown"), str(tmp_path / "unknown"), 0, 10)
    with pytest.raises(Refused, match="no blob"):
        await fetch_blobs(dial, [piece(tmp_path), unknown])
    assert (tmp_path / "blob").read_bytes() == BLOB


async def test_one_deadline_holds_for_all_blobs(coordinator: Coordinator, dial: Dial, tmp_path: Path) -> None:
    coordinator.pause_s = 0.2
    with pytest.raises(Unreachable, match="no answer in time"):
        await fetch_blobs(dial, [piece(tmp_path, name=str(number)) for number in range(9)], deadline_s=1.0)
    assert (tmp_path / "0").stat().st_size == len(BLOB)
    assert not (tmp_path / "8").exists()


async def test_what_stood_behind_the_offset_is_lost(dial: Dial, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(BLOB[:1000] + b"torn" * 1_000_000)
    await fetch_blobs(dial, [piece(tmp_path, 1000)])
    assert (tmp_path / "blob").read_bytes() == BLOB


async def test_endless_data_stops_at_the_cap(coordinator: Coordinator, dial: Dial, tmp_path: Path) -> None:
    coordinator.endless = True
    with pytest.raises(Refused, match=f"it sends more than the {len(BLOB)} bytes"):
        await fetch_blobs(dial, [piece(tmp_path)])
    assert (tmp_path / "blob").stat().st_size <= len(BLOB)


async def test_endless_data_stops_at_the_deadline(coordinator: Coordinator, dial: Dial, tmp_path: Path) -> None:
    coordinator.endless = True
    with pytest.raises(Unreachable, match="no answer in time"):
        await fetch_blobs(dial, [piece(tmp_path, max_bytes=10**12)], deadline_s=0.5)


async def test_a_blob_that_is_not_there_is_refused(dial: Dial, tmp_path: Path) -> None:
    unknown = digest_of(b"unknown")
    with pytest.raises(Refused, match=f"^no blob {unknown}$"):
        await fetch_blobs(dial, [Piece(unknown, str(tmp_path / "blob"), 0, 10)])


async def test_a_file_that_cannot_be_written_is_one_line(dial: Dial, tmp_path: Path) -> None:
    with pytest.raises(NearfieldError, match=r"No such file or directory$"):
        await fetch_blobs(dial, [piece(tmp_path / "nowhere")])


async def test_a_fetch_that_is_cancelled_leaves_no_child(coordinator: Coordinator, dial: Dial, tmp_path: Path) -> None:
    coordinator.endless = True
    fetch = asyncio.create_task(fetch_blobs(dial, [piece(tmp_path, max_bytes=10**12)]))
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
