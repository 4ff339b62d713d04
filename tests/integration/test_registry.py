"""Models over gRPC: pushed, resumed, listed, verified, deleted."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from coordinator.app import Coordinator
from coordinator.cli import push as pushing
from protos.digest import digest_of
from protos.fleet.v1.artifact_pb2 import FetchBlobRequest, GetManifestRequest, PushBlobRequest, StatBlobRequest
from protos.fleet.v1.artifact_pb2_grpc import ArtifactServiceStub
from protos.oci import read_manifest
from tests.coordinators import admin, edgectl, running_coordinator

MODEL = bytes(range(256)) * 16 * 1024  # 4 MiB
TOML = 'name = "m"\ntask = "tensor"\n[[variants]]\nfile = "m.onnx"\nengine = "stub"\n'


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path / "coordinator", own_broker="embedded") as coordinator:
        yield coordinator


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of a 4 MiB model."""
    folder = tmp_path / "bundle"
    (folder / "golden").mkdir(parents=True)
    (folder / "model.toml").write_text(TOML)
    (folder / "m.onnx").write_bytes(MODEL)
    (folder / "golden" / "one.npz").write_bytes(b"one")
    (folder / ".hidden").write_bytes(b"left out")
    return folder


class Printed:
    """What a command printed, as JSON."""

    def __init__(self, coordinator: Coordinator, capsys: pytest.CaptureFixture[str]) -> None:
        self._coordinator = coordinator
        self._capsys = capsys

    async def json(self, *arguments: str) -> Any:
        """The document of a command that succeeds."""
        assert await edgectl(self._coordinator, *arguments, "--json") == 0
        return json.loads(self._capsys.readouterr().out)

    async def refused(self, code: int, *arguments: str) -> str:
        """The one line of a command that does not."""
        assert await edgectl(self._coordinator, *arguments) == code
        printed = self._capsys.readouterr()
        assert printed.err.count("\n") == 1
        return printed.err


@pytest.fixture
def run(coordinator: Coordinator, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Commands against the coordinator."""
    return Printed(coordinator, capsys)


async def test_a_pushed_bundle_is_version_one_and_the_same_again_changes_nothing(run: Printed, bundle: Path) -> None:
    pushed = await run.json("model", "push", str(bundle))
    assert (pushed["model"], pushed["version"], pushed["created"]) == ("m", 1, True)
    assert [file["path"] for file in pushed["files"]] == ["golden/one.npz", "m.onnx", "model.toml"]
    again = await run.json("model", "push", str(bundle))
    assert again == {**pushed, "created": False}


async def test_other_content_is_the_next_version(run: Printed, bundle: Path) -> None:
    await run.json("model", "push", str(bundle))
    (bundle / "golden" / "one.npz").write_bytes(b"two")
    assert (await run.json("model", "push", str(bundle)))["version"] == 2
    versions = await run.json("model", "list")
    assert [(version["model"], version["version"]) for version in versions] == [("m", 1), ("m", 2)]
    assert (await run.json("model", "show", "m"))["version"] == 2
    assert (await run.json("model", "show", "m@1"))["model_toml"] == TOML


async def test_what_is_fetched_is_what_was_pushed_from_any_offset(
    run: Printed, coordinator: Coordinator, bundle: Path
) -> None:
    pushed = await run.json("model", "push", str(bundle))
    async with admin(coordinator) as channel:
        stub = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        manifest = (await stub.GetManifest(GetManifestRequest(digest=pushed["digest"]))).content
        files = {file.path: file for file in read_manifest(manifest)}
        request = FetchBlobRequest(digest=files["m.onnx"].digest, offset=5)
        chunks = [chunk.data async for chunk in stub.FetchBlob(request)]
    assert digest_of(manifest) == pushed["digest"]
    assert b"".join(chunks) == MODEL[5:]
    assert len(chunks) == 4


async def test_a_push_that_broke_off_goes_on_where_it_was(
    run: Printed, coordinator: Coordinator, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, part = digest_of(MODEL), MODEL[: 1024 * 1024]
    sent: list[int] = []

    async with admin(coordinator) as channel:
        stub = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]

        async def breaks_off() -> AsyncIterator[PushBlobRequest]:
            yield PushBlobRequest(digest=digest, size=len(MODEL), data=part)
            while (await stub.StatBlob(StatBlobRequest(digest=digest))).received < len(part):  # noqa: ASYNC110 - it is asked over gRPC
                await asyncio.sleep(0.01)
            call.cancel()

        call = stub.PushBlob(breaks_off())
        with pytest.raises(asyncio.CancelledError):
            await call
    chunks = pushing._chunks

    def noting(path: Path, offset: int) -> Any:
        sent.append(offset)
        return chunks(path, offset)

    monkeypatch.setattr(pushing, "_chunks", noting)
    await run.json("model", "push", str(bundle))
    assert len(part) in sent
    assert (await run.json("model", "verify", "m"))["intact"]


async def test_a_file_that_changes_during_the_push_is_named(
    run: Printed, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = pushing._chunks

    def changing(path: Path, offset: int) -> Any:
        if path.name == "m.onnx":
            path.write_bytes(MODEL[::-1])
        return chunks(path, offset)

    monkeypatch.setattr(pushing, "_chunks", changing)
    complaint = await run.refused(1, "model", "push", str(bundle))
    assert "m.onnx changed while it was being pushed: push again" in complaint


async def test_damage_on_the_coordinators_disk_is_found_and_told(
    run: Printed, coordinator: Coordinator, bundle: Path, tmp_path: Path
) -> None:
    await run.json("model", "push", str(bundle))
    blob = tmp_path / "coordinator" / "bundles" / "blobs" / "sha256" / hashlib.sha256(MODEL).hexdigest()
    blob.write_bytes(MODEL[:-1] + b"\x01")
    complaint = await run.refused(1, "model", "verify", "m@1")
    assert "m.onnx" in complaint
    assert "another content than its digest says" in complaint


async def test_deleting_a_version_frees_what_no_other_version_has(run: Printed, bundle: Path, tmp_path: Path) -> None:
    first = await run.json("model", "push", str(bundle))
    (bundle / "golden" / "one.npz").write_bytes(b"three")
    await run.json("model", "push", str(bundle))
    freed = (await run.json("model", "delete", "m@2"))["freed"]
    assert 5 < freed < 5000  # the vectors and the manifest, not the model
    assert (await run.json("model", "verify", "m"))["intact"]
    index = json.loads((tmp_path / "coordinator" / "bundles" / "index.json").read_text())
    assert [manifest["digest"] for manifest in index["manifests"]] == [first["digest"]]
    (bundle / "golden" / "one.npz").write_bytes(b"four")
    assert (await run.json("model", "push", str(bundle)))["version"] == 3


async def test_a_version_in_use_is_not_deleted_and_its_deployments_are_named(
    run: Printed, bundle: Path, tmp_path: Path
) -> None:
    await run.json("model", "push", str(bundle))
    deployment = tmp_path / "shelf.yaml"
    deployment.write_text(
        "name: shelf\nselector: ''\nmodel: m@1\npipelines: [{name: a, source: b, egress: {tensor: 1000}}]\n"
    )
    await run.json("deployment", "apply", str(deployment))
    assert "m@1 is used by shelf: change or delete that deployment" in await run.refused(4, "model", "delete", "m@1")
    await run.json("deployment", "delete", "shelf")
    await run.json("model", "delete", "m@1")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda bundle: (bundle / "model.toml").unlink(), "has no model.toml: make a bundle with edgectl model init"),
        (lambda bundle: (bundle / "m.onnx").unlink(), "names files that are not there: m.onnx"),
        (lambda bundle: (bundle / "model.toml").write_text(TOML.replace("engine", "engin")), "did you mean 'engine'"),
        (lambda bundle: (bundle / "model.toml").write_bytes(b"\xff"), "is not a text in UTF-8"),
        (lambda bundle: (bundle / "link").symlink_to("/etc/passwd"), "link is not a plain file"),
        (
            lambda bundle: (bundle / "model.toml").unlink() or (bundle / "model.toml").symlink_to("/etc/passwd"),
            "model.toml is not a plain file",
        ),
        (lambda bundle: (bundle / "golden" / "loop").symlink_to(bundle), "loop is not a plain file"),
    ],
    ids=["no manifest", "missing file", "typo", "not text", "link", "linked manifest", "link to a folder"],
)
async def test_a_folder_that_is_no_bundle_is_refused_before_anything_is_sent(
    spoil: Any, complaint: str, run: Printed, bundle: Path
) -> None:
    spoil(bundle)
    assert complaint in await run.refused(1, "model", "push", str(bundle))
    assert await run.json("model", "list") == []


async def test_an_unknown_model_is_not_found(run: Printed) -> None:
    for command in (("show", "x"), ("list", "x"), ("verify", "x@3"), ("delete", "x@1")):
        assert "see edgectl model list" in await run.refused(1, "model", *command)


async def test_requests_that_break_the_contract_are_refused_and_logged_nowhere(
    coordinator: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    async with admin(coordinator) as channel:
        stub = ArtifactServiceStub(channel)  # type: ignore[no-untyped-call]
        huge = PushBlobRequest(digest=digest_of(b""), size=2**60)
        calls = {
            grpc.StatusCode.INVALID_ARGUMENT: (stub.StatBlob(StatBlobRequest(digest="../../etc/passwd")),),
            grpc.StatusCode.PERMISSION_DENIED: (stub.PushBlob(iter([huge])),),
            grpc.StatusCode.NOT_FOUND: (
                stub.GetManifest(GetManifestRequest(digest=digest_of(b"x"))),
                stub.FetchBlob(FetchBlobRequest(digest=digest_of(b"x"))).read(),
            ),
        }
        for code, refused in calls.items():
            for call in refused:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call
                assert raised.value.code() is code
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_unforeseen_error_is_internal_and_its_text_stays_in_the_log(
    coordinator: Coordinator,
    bundle: Path,
    run: Printed,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr("coordinator.registry.service.Registry.versions", fails)
    complaint = await run.refused(1, "model", "list")
    assert "the coordinator failed on this request" in complaint
    assert "secret" not in complaint
    assert "the secret" in caplog.text


async def test_what_was_pushed_and_never_published_is_dropped_after_a_week(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    async with running_coordinator(folder, own_broker="embedded") as coordinator:
        assert await edgectl(coordinator, "model", "push", str(bundle)) == 0
    blobs = folder / "bundles" / "blobs" / "sha256"
    published = {path.name for path in blobs.iterdir()}
    for name in ("a" * 64, "b" * 64):
        (blobs / name).write_bytes(b"nobody's")
    for name in (*published, "a" * 64):
        os.utime(blobs / name, (0, 0))
    (folder / "bundles" / "index.json").unlink()
    async with running_coordinator(folder, own_broker="embedded") as coordinator:
        while (blobs / ("a" * 64)).exists():  # noqa: ASYNC110 - done in the background
            await asyncio.sleep(0.01)
        assert await edgectl(coordinator, "model", "verify", "m") == 0
    assert {path.name for path in blobs.iterdir()} == {*published, "b" * 64}
    assert json.loads((folder / "bundles" / "index.json").read_text())["manifests"]
