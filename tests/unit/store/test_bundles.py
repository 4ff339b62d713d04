"""The store: what gets in is what was asked for, what lies there is checked again, what nobody needs goes."""

from pathlib import Path
from random import Random

import pytest

from edge_node.errors import BadInput
from edge_node.store.blobs import Blobs
from edge_node.store.bundles import Bundles
from protos.digest import Digest, digest_of
from protos.errors import ContractError
from protos.oci import BundleFile, write_manifest
from tests.sizes import random_of, times, tried


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    made = Bundles(tmp_path)
    made.prepare()
    return made


def put(bundles: Bundles, **files: bytes) -> Digest:
    """A whole bundle in the store; underscores in names stand for a folder."""
    listed = [BundleFile(name.replace("_", "/"), digest_of(body), len(body)) for name, body in files.items()]
    manifest = write_manifest(listed)
    bundles.add(digest_of(manifest), manifest)
    for body in files.values():
        bundles.blobs.put(digest_of(body), body)
    return digest_of(manifest)


def test_a_blob_whose_digest_differs_is_refused_and_thrown_away(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blobs.prepare()
    wanted = digest_of(b"model")
    blobs.staged(wanted).write_bytes(b"other")
    with pytest.raises(BadInput, match="another size or digest"):
        blobs.admit(wanted, 5)
    assert not blobs.has(wanted)
    assert blobs.staged_bytes(wanted) == 0


def test_a_blob_of_another_size_is_refused(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blobs.prepare()
    blobs.staged(digest_of(b"model")).write_bytes(b"model")
    with pytest.raises(BadInput):
        blobs.admit(digest_of(b"model"), 4)


def test_a_bundle_is_complete_once_every_blob_is_here(bundles: Bundles) -> None:
    manifest = write_manifest([BundleFile("a", digest_of(b"1"), 1), BundleFile("b", digest_of(b"2"), 1)])
    digest = digest_of(manifest)
    bundles.add(digest, manifest)
    bundles.blobs.put(digest_of(b"1"), b"1")
    assert bundles.known() == {digest}
    assert bundles.complete() == frozenset()
    assert [file.path for file in bundles.missing(digest)] == ["b"]
    bundles.blobs.put(digest_of(b"2"), b"2")
    assert bundles.complete() == {digest}


def test_a_verified_bundle_is_a_folder_with_its_files_and_no_others(bundles: Bundles) -> None:
    digest = put(bundles, model=b"weights", golden_0=b"vector")
    folder = bundles.verify(digest)
    (folder / "intruder").write_bytes(b"x")
    folder = bundles.verify(digest)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {"model", "golden/0"}
    assert (folder / "golden" / "0").read_bytes() == b"vector"


def test_a_file_that_changed_on_the_disk_is_found_and_thrown_away(bundles: Bundles) -> None:
    digest = put(bundles, model=b"weights", labels=b"cat")
    file = bundles.verify(digest) / "model"
    file.chmod(0o644)
    file.write_bytes(b"weightz")
    with pytest.raises(BadInput, match="model changed on this disk"):
        bundles.verify(digest)
    assert bundles.complete() == frozenset()
    assert [missing.path for missing in bundles.missing(digest)] == ["model"]
    assert not bundles.folder(digest).exists()


@pytest.mark.soak
def test_whatever_changes_on_the_disk_is_found_before_a_bundle_is_used(bundles: Bundles) -> None:
    """Flips, cuts, growth, and one file in the place of another, in blobs and in the manifest."""
    chance = random_of("bundle")
    files = {"model": chance.randbytes(3000), "weights": chance.randbytes(3000), "labels": b"cat\ndog\n"}
    for _ in range(times(100)):
        digest = put(bundles, **files)
        blob = chance.choice([digest, *map(digest_of, files.values())])
        changed = mutated(bundles.blobs.path(blob).read_bytes(), files["model"], chance)
        bundles.blobs.path(blob).chmod(0o644)
        bundles.blobs.path(blob).write_bytes(changed)
        if digest_of(changed) != blob:
            with pytest.raises(BadInput, match="changed on this disk"):
                bundles.verify(digest)
        tried["mutations of a bundle on the disk (U5)"] += 1
    assert bundles.verify(put(bundles, **files)).is_dir()


def mutated(content: bytes, other: bytes, chance: Random) -> bytes:
    """A bit flipped, an end cut off, something added, or other content."""
    place = chance.randrange(len(content))
    match chance.choice(("flip", "cut", "grow", "other")):
        case "flip":
            return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
        case "cut":
            return content[:place]
        case "grow":
            return content[:place] + chance.randbytes(4) + content[place:]
    return other


def test_a_manifest_that_changed_on_the_disk_is_fetched_again_and_stops_nothing_else(bundles: Bundles) -> None:
    digest, other = put(bundles, model=b"weights"), put(bundles, model=b"other")
    manifest = bundles.blobs.path(digest)
    whole = manifest.read_bytes()
    manifest.chmod(0o644)
    manifest.write_bytes(b"\xb6" + whole[1:])
    assert bundles.known() == bundles.complete() == {other}
    with pytest.raises(BadInput, match="the manifest changed on this disk"):
        bundles.verify(digest)
    bundles.add(digest, whole)
    assert bundles.verify(digest).is_dir()


def test_a_manifest_with_another_digest_is_refused(bundles: Bundles) -> None:
    with pytest.raises(BadInput):
        bundles.add(digest_of(b"else"), write_manifest([]))


def test_a_manifest_that_climbs_out_of_the_bundle_is_refused(bundles: Bundles) -> None:
    manifest = write_manifest([BundleFile("a/b", digest_of(b"1"), 1)]).replace(b"a/b", b"../b")
    with pytest.raises(ContractError):
        bundles.add(digest_of(manifest), manifest)


def test_removing_a_bundle_keeps_the_blobs_that_another_has(bundles: Bundles) -> None:
    one, other = put(bundles, model=b"v1", labels=b"cat"), put(bundles, model=b"v2", labels=b"cat")
    bundles.verify(one)
    bundles.remove(one)
    bundles.remove(one)
    assert bundles.known() == bundles.complete() == {other}
    assert not bundles.folder(one).exists()
    assert not bundles.blobs.has(digest_of(b"v1"))
    assert bundles.verify(other).is_dir()


def test_the_store_is_an_oci_layout(bundles: Bundles, tmp_path: Path) -> None:
    put(bundles, model=b"weights")
    assert (tmp_path / "oci-layout").is_file()
    assert b'"schemaVersion":2' in (tmp_path / "index.json").read_bytes()
