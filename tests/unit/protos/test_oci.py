"""Bundles as OCI artifacts: one way to write the manifest, strict reading."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.digest import Digest, digest_of
from protos.errors import ContractError
from protos.oci import ARTIFACT_TYPE, EMPTY_CONTENT, MAX_MANIFEST, TITLE, BundleFile, read_manifest, write_manifest

FILES = (
    BundleFile("model.toml", digest_of(b"toml"), 4),
    BundleFile("golden/a.npz", digest_of(b"npz"), 3),
)

PATHS = st.lists(st.from_regex(r"[a-zäß_ -]{1,8}(/[a-z.]{1,3}x){0,2}", fullmatch=True), unique=True, max_size=6)


def document(**changes: Any) -> bytes:
    return json.dumps({**json.loads(write_manifest(FILES)), **changes}).encode()


def layer(path: str | None = "a", digest: str = digest_of(b""), size: Any = 1) -> dict[str, Any]:
    annotations = {} if path is None else {TITLE: path}
    return {"mediaType": "application/octet-stream", "digest": digest, "size": size, "annotations": annotations}


def test_the_order_of_files_does_not_change_the_manifest() -> None:
    assert write_manifest(FILES) == write_manifest(reversed(FILES))


def test_a_manifest_is_what_the_image_spec_asks_for() -> None:
    manifest = json.loads(write_manifest(FILES))
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == ARTIFACT_TYPE
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": digest_of(EMPTY_CONTENT),
        "size": 2,
    }
    assert [found["annotations"][TITLE] for found in manifest["layers"]] == ["golden/a.npz", "model.toml"]


def test_the_digest_of_a_known_bundle_never_changes() -> None:
    assert digest_of(write_manifest(FILES)) == (
        "sha256:f78f9c50c606e27ae0d7d8fc24c32f3bce4c70c4a95ec67bedc6cf1fa1885193"
    )


@given(PATHS, st.data())
def test_what_is_written_is_read_back_sorted(paths: list[str], data: st.DataObject) -> None:
    files = [
        BundleFile(path, digest_of(path.encode()), data.draw(st.integers(0, 2**60), label="size")) for path in paths
    ]
    assert read_manifest(write_manifest(files)) == tuple(sorted(files, key=lambda file: file.path))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an OCI manifest"),
        (b"[]", "not an OCI manifest"),
        (b"\xff\xfe", "not an OCI manifest"),
        (b" " * (MAX_MANIFEST + 1), "at most"),
        (document(artifactType="application/vnd.example"), "not a bundle"),
        (document(layers=[layer("../a")]), "not a path inside the bundle"),
        (document(layers=[layer("/a")]), "not a path inside the bundle"),
        (document(layers=[layer("a\nb")]), "control characters"),
        (document(layers=[layer("a"), layer("a")]), "listed twice"),
        (document(layers=[layer(None)]), TITLE),
        (document(layers=[layer(size=-1)]), "negative size"),
        (document(layers=[layer(size="4")]), "not an OCI manifest"),
        (document(layers=[layer(digest="md5:1234")]), "is not a digest"),
    ],
)
def test_a_manifest_that_is_not_a_bundles_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        read_manifest(content)


@pytest.mark.parametrize("path", ["../a", "/a", "a\x7f"])
def test_a_path_that_leaves_the_bundle_is_not_written(path: str) -> None:
    with pytest.raises(ContractError):
        write_manifest([BundleFile(path, Digest(digest_of(b"")), 0)])


def test_two_files_of_one_path_are_not_written() -> None:
    with pytest.raises(ContractError, match="listed twice"):
        write_manifest([FILES[0], FILES[0]])


@given(st.binary(max_size=200) | st.builds(lambda cut: write_manifest(FILES)[:cut], st.integers(0, 400)))
def test_any_bytes_are_a_manifest_or_the_contract_error(content: bytes) -> None:
    try:
        assert read_manifest(content) is not None
    except ContractError:
        assert content != write_manifest(FILES)


def test_more_files_than_a_manifest_lists_are_refused_before_anything_is_pushed() -> None:
    with pytest.raises(ContractError, match="at most 1048576 are allowed, some 4000 files"):
        write_manifest(BundleFile(f"{number}.npz", digest_of(b""), 0) for number in range(10_000))
