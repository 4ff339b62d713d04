"""A path inside blobs/ is proof of its content."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from coordinator.errors import BadInput, Conflict, NearfieldError, NotFound
from coordinator.registry.blobs import EMPTY, Blobs, BlobState
from coordinator.registry.expiry import KEPT_S
from protos.digest import digest_of, hex_of

CONTENT = bytes(range(256)) * 10
DIGEST = digest_of(CONTENT)
SIZE = len(CONTENT)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty store."""
    blobs = Blobs(tmp_path)
    blobs.prepare()
    return blobs


def upload(blobs: Blobs, content: bytes, offset: int = 0, size: int = SIZE) -> None:
    """Write and finish."""
    with blobs.upload(DIGEST, size, offset) as upload:
        upload.write(content)
        upload.finish()


def break_off(blobs: Blobs, content: bytes) -> None:
    """Write a part, and go away."""
    with blobs.upload(DIGEST, SIZE, 0) as upload:
        upload.write(content)


def test_a_blob_lies_where_oci_says_and_says_what_it_is(blobs: Blobs, tmp_path: Path) -> None:
    upload(blobs, CONTENT)
    assert (tmp_path / "blobs" / "sha256" / hex_of(DIGEST)).read_bytes() == CONTENT
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert blobs.state(DIGEST) == BlobState(complete=True, received=SIZE)
    assert blobs.read(DIGEST) == CONTENT
    assert list((tmp_path / "staging").iterdir()) == []


def test_an_upload_that_broke_off_goes_on_from_there(blobs: Blobs) -> None:
    break_off(blobs, CONTENT[:1000])
    assert blobs.state(DIGEST) == BlobState(complete=False, received=1000)
    upload(blobs, CONTENT[1000:], offset=1000)
    assert blobs.read(DIGEST) == CONTENT


def test_an_upload_may_go_back_before_what_is_held(blobs: Blobs) -> None:
    break_off(blobs, CONTENT[:1000] + b"wrong")
    upload(blobs, CONTENT[500:], offset=500)
    assert blobs.read(DIGEST) == CONTENT


def test_an_upload_beyond_what_is_held_is_refused(blobs: Blobs) -> None:
    with pytest.raises(BadInput, match="offset 5, and 0 bytes are held"), blobs.upload(DIGEST, SIZE, 5):
        pass


def test_a_blob_whose_digest_differs_is_refused_and_dropped(blobs: Blobs) -> None:
    with pytest.raises(BadInput, match="changed while it was pushed"):
        upload(blobs, bytes(SIZE))
    assert blobs.state(DIGEST) == BlobState(complete=False, received=0)


def test_a_blob_that_lacks_bytes_is_refused_and_kept_for_later(blobs: Blobs) -> None:
    with pytest.raises(BadInput, match=f"10 of {SIZE} bytes arrived"):
        upload(blobs, CONTENT[:10])
    assert blobs.state(DIGEST) == BlobState(complete=False, received=10)


def test_more_bytes_than_announced_are_refused(blobs: Blobs) -> None:
    with pytest.raises(BadInput, match="more than the 10 bytes that were announced"):
        upload(blobs, CONTENT, size=10)


def test_two_cannot_push_one_blob_at_a_time(blobs: Blobs) -> None:
    with (
        blobs.upload(DIGEST, SIZE, 0),
        pytest.raises(Conflict, match="is being pushed by somebody else"),
        blobs.upload(DIGEST, SIZE, 0),
    ):
        pass


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    assert blobs.read(blobs.put(b"")) == b""


def test_chunks_begin_at_an_offset(blobs: Blobs) -> None:
    digest = blobs.put(CONTENT)
    assert b"".join(blobs.chunks(digest, 100)) == CONTENT[100:]
    assert b"".join(blobs.chunks(digest, SIZE)) == b""
    with pytest.raises(BadInput, match="no offset"):
        next(blobs.chunks(digest, SIZE + 1))


def test_a_blob_that_is_not_held_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.read(DIGEST)
    with pytest.raises(NotFound):
        next(blobs.chunks(DIGEST, 0))


def test_every_kind_of_damage_is_noticed(blobs: Blobs) -> None:
    digest = blobs.put(CONTENT)
    path = blobs.path(digest)
    assert blobs.problem(digest, SIZE) is None
    path.write_bytes(CONTENT[:-1] + b"\x00")
    assert blobs.problem(digest, SIZE) == "has another content than its digest says"
    path.write_bytes(CONTENT[:-1])
    assert blobs.problem(digest, SIZE) == f"has {SIZE - 1} bytes instead of {SIZE}"
    path.unlink()
    assert blobs.problem(digest, SIZE) == "is missing"


def test_removing_tells_how_many_bytes_that_freed(blobs: Blobs) -> None:
    digest = blobs.put(CONTENT)
    assert blobs.remove([digest, digest_of(b"absent")]) == SIZE
    assert not blobs.state(digest).complete


def test_the_index_lists_the_bundles_that_are_there(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put(CONTENT)
    blobs.write_index([("m:1", digest), ("gone:1", digest_of(b"absent"))])
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["schemaVersion"] == 2
    (manifest,) = index["manifests"]
    assert (manifest["digest"], manifest["size"]) == (digest, SIZE)
    assert manifest["annotations"] == {"org.opencontainers.image.ref.name": "m:1"}


def test_an_upload_that_nobody_went_on_with_for_a_week_is_dropped(blobs: Blobs, tmp_path: Path) -> None:
    break_off(blobs, CONTENT[:10])
    (part,) = (tmp_path / "staging").iterdir()
    written = part.stat().st_mtime
    blobs.drop_parts(written + KEPT_S)
    assert part.exists()
    blobs.drop_parts(written + KEPT_S + 1)
    assert not part.exists()


def test_a_blob_knows_how_long_ago_it_was_written(blobs: Blobs) -> None:
    digest = blobs.put(CONTENT)
    assert blobs.ages(blobs.path(digest).stat().st_mtime + 5)[digest] == 5


def test_the_empty_blob_that_every_manifest_names_is_not_removed(blobs: Blobs) -> None:
    assert blobs.remove([EMPTY]) == 0
    assert blobs.read(EMPTY) == b"{}"


def test_who_opened_a_part_that_became_the_blob_meanwhile_does_not_cut_the_blob(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    break_off(blobs, CONTENT[:10])

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr("fcntl.flock", flock)
        upload(blobs, CONTENT[10:], offset=10)  # somebody else finishes between our open and our lock
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", late)
    with pytest.raises(Conflict), blobs.upload(DIGEST, SIZE, 0):
        pass
    assert blobs.read(DIGEST) == CONTENT


def test_a_disk_that_is_full_is_one_line(blobs: Blobs) -> None:
    def push_to_a_full_disk() -> None:
        with Path("/dev/full").open("wb") as full, blobs.upload(DIGEST, SIZE, 0) as upload:
            os.dup2(full.fileno(), upload._file.fileno())
            upload.write(CONTENT)
            upload.finish()

    with pytest.raises(NearfieldError, match=r"^content cannot be stored below \S+: No space left on device$"):
        push_to_a_full_disk()
