"""A coordinator that was taken over serves downloads (U4): endless, slow, truncated, mixed, too large; all are refused.

The server is a real one with mutual TLS, the downloads are those of the agent: child processes, store, limits.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_node.errors import BadInput, NearfieldError, Refused, Unreachable
from edge_node.link.coordinator import Dial
from edge_node.link.tls import Credentials
from edge_node.membership.registration import CoordinatorFetcher
from edge_node.store.blobs import Blobs
from edge_node.store.bundles import Bundles
from edge_node.store.fetch import fetch_bundle, fetch_manifest, longest_s
from protos.digest import digest_of
from protos.fleet.v1 import artifact_pb2, artifact_pb2_grpc
from protos.oci import BundleFile, write_manifest
from tests.authorities import Authority

WEIGHTS, LABELS = bytes(range(256)) * 400, b"cat\ndog\n"
MANIFEST = write_manifest(
    [
        BundleFile("model.onnx", digest_of(WEIGHTS), len(WEIGHTS)),
        BundleFile("labels.txt", digest_of(LABELS), len(LABELS)),
    ]
)
DIGEST = digest_of(MANIFEST)
BLOBS = {digest_of(WEIGHTS): WEIGHTS, digest_of(LABELS): LABELS}
LIMIT_S = 3.0
NODE = "ab" * 16

Serve = Callable[[bytes], Iterator[bytes]]


class Hostile(artifact_pb2_grpc.ArtifactServiceServicer):
    """Serves the content of blobs as the test wants; at first honestly."""

    def __init__(self) -> None:
        self.manifest = MANIFEST
        self.serve: Serve = lambda content: iter([content])

    def GetManifest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's name)
        return artifact_pb2.Manifest(digest=request.digest, content=self.manifest)

    def FetchBlob(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        for data in self.serve(BLOBS[request.digest][request.offset :]):
            if not context.is_active():
                return
            yield artifact_pb2.Chunk(data=data)


def endless(_: bytes) -> Iterator[bytes]:
    while True:
        yield bytes(64 * 1024)


def slow(content: bytes) -> Iterator[bytes]:
    """One byte at a time, each long before any pause would look like a broken line."""
    for place in range(len(content)):
        yield content[place : place + 1]
        time.sleep(0.2)


@pytest.fixture
def hostile() -> Hostile:
    return Hostile()


@pytest.fixture
async def fetcher(hostile: Hostile, tmp_path: Path) -> AsyncIterator[CoordinatorFetcher]:
    authority = Authority(tmp_path / "authority")
    server_files, files = authority.issue("coordinator", server=True), authority.issue(NODE)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(hostile, server)  # type: ignore[no-untyped-call]
    pair = (server_files.key.read_bytes(), server_files.certificate.read_bytes())
    wanted = grpc.ssl_server_credentials([pair], authority.ca.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", wanted)
    server.start()
    credentials = Credentials(str(files.certificate), str(files.key), str(files.ca))
    yield CoordinatorFetcher(f"127.0.0.1:{port}", lambda address: Dial(address, credentials))
    await asyncio.to_thread(server.stop(0).wait)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    made = Bundles(tmp_path / "store")
    made.prepare()
    return made


async def fetch(bundles: Bundles, fetcher: CoordinatorFetcher, limit_s: float = 60.0) -> None:
    await fetch_bundle(bundles, DIGEST, fetcher, lambda *_: None, lambda _: limit_s)


def staged(blobs: Blobs) -> int:
    """Bytes of downloads that are under way, on the disk."""
    return sum(blobs.staged_bytes(digest) for digest in BLOBS)


async def test_an_honest_download_arrives(bundles: Bundles, fetcher: CoordinatorFetcher) -> None:
    """The control arm of everything below."""
    await fetch(bundles, fetcher)
    assert bundles.complete() == {DIGEST}


async def test_an_endless_download_ends_at_the_size_that_the_manifest_says(
    hostile: Hostile, bundles: Bundles, fetcher: CoordinatorFetcher
) -> None:
    hostile.serve = endless
    with pytest.raises(Refused, match=r"sends more than the \d+ bytes"):
        await fetch(bundles, fetcher)
    assert bundles.complete() == frozenset()
    assert staged(bundles.blobs) <= len(WEIGHTS) + len(LABELS)


async def test_a_slow_download_ends_at_a_deadline_for_the_whole_and_goes_on_later(
    hostile: Hostile, bundles: Bundles, fetcher: CoordinatorFetcher
) -> None:
    hostile.serve = slow
    with pytest.raises(Unreachable, match="not here after 3 s"):
        await fetch(bundles, fetcher, LIMIT_S)
    hostile.serve = lambda content: iter([content])
    await fetch(bundles, fetcher)
    assert bundles.complete() == {DIGEST}


async def test_a_truncated_download_never_becomes_a_blob(
    hostile: Hostile, bundles: Bundles, fetcher: CoordinatorFetcher
) -> None:
    hostile.serve = lambda content: iter([content[: len(content) // 2]])
    with pytest.raises(BadInput, match="another size or digest"):
        await fetch(bundles, fetcher)
    assert bundles.complete() == frozenset()
    assert not any(bundles.blobs.has(digest) for digest in BLOBS)


async def test_a_blob_under_the_name_of_another_is_refused(
    hostile: Hostile, bundles: Bundles, fetcher: CoordinatorFetcher
) -> None:
    """Mix and match: right size, other content."""
    hostile.serve = lambda content: iter([content[::-1]])
    with pytest.raises(BadInput, match="another size or digest"):
        await fetch(bundles, fetcher)
    assert not any(bundles.blobs.has(digest) for digest in BLOBS)


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        (write_manifest([BundleFile("other", digest_of(LABELS), len(LABELS))]), "another manifest"),
        (MANIFEST[:-2], "another manifest"),
        (b"", "another manifest"),
        (b"x" * (9 * 1024 * 1024), "."),
    ],
    ids=["of another bundle", "truncated", "empty", "too large"],
)
async def test_another_manifest_is_refused(
    hostile: Hostile, bundles: Bundles, fetcher: CoordinatorFetcher, manifest: bytes, complaint: str
) -> None:
    hostile.manifest = manifest
    with pytest.raises(NearfieldError, match=complaint):
        await fetch_manifest(bundles, DIGEST, fetcher)
    assert bundles.known() == frozenset()


def test_the_deadline_grows_with_what_is_missing_and_has_an_end() -> None:
    assert longest_s(0) == 60
    assert longest_s(100 * 1024**2) == pytest.approx(60 + 25600)
    assert longest_s(8 * 1024**3) == 24 * 3600
