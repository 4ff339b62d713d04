"""Whether a bundle fits, before it is fetched."""

from edge_node.store.fits import MAX_BUNDLE, MAX_FILES, SPARE_BYTES, Room, misfit, smallest_model
from protos.digest import digest_of
from protos.oci import BundleFile

MB = 1024**2


def test_a_bundle_that_fits_has_nothing_said_of_it() -> None:
    assert misfit(Room(total=10, missing=10, free=SPARE_BYTES + 10, files=1, model=5, memory=5)) is None
    assert misfit(Room(total=10, missing=10, free=SPARE_BYTES + 10, model=5, memory=None)) is None


def test_a_full_disk_says_what_is_needed_what_is_free_and_where() -> None:
    said = misfit(Room(total=900 * MB, missing=812 * MB, free=SPARE_BYTES + 300 * MB, where="/var/lib/x/store"))
    assert said == "needs 812 MB, 300 MB are free at /var/lib/x/store: free some, or lower store.quota_mb"
    assert "0 MB are free" in str(misfit(Room(total=1, missing=1, free=0)))


def test_what_is_here_already_needs_no_room() -> None:
    assert misfit(Room(total=900 * MB, missing=0, free=SPARE_BYTES)) is None


def test_a_model_that_is_larger_than_memory_is_refused() -> None:
    said = misfit(Room(total=9, missing=9, free=SPARE_BYTES + 9, model=600 * MB, memory=512 * MB))
    assert said is not None
    assert said.startswith("needs more than 600 MB of memory, 512 MB are available: deploy a smaller variant")


def test_a_giant_is_refused_whatever_is_free() -> None:
    for room in (Room(MAX_BUNDLE + 1, 0, 10**15), Room(1, 0, 10**15, files=MAX_FILES + 1)):
        assert "more than a node takes" in str(misfit(room))


def test_of_several_models_the_smallest_has_to_fit() -> None:
    sizes = {"a.onnx": 9, "deep/b.tflite": 4, "model.toml": 1, "w.bin": 2}
    files = [BundleFile(path, digest_of(path.encode()), size) for path, size in sizes.items()]
    assert smallest_model(files) == 4
    assert smallest_model(files[2:]) == 0
