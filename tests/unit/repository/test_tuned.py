"""What tuning has chosen is kept, and counts for the same files, engine and device alone."""

from pathlib import Path

import pytest

from edge_node.repository.found import Found
from edge_node.repository.sizing import Asked, Device, sizing_of
from edge_node.repository.triton_config import TritonConfig
from edge_node.repository.tuned import TunedWays, files_digest, read_digest
from edge_node.repository.tuning import Way
from edge_node.serving.control import Batching
from protos.digest import digest_of

WAY = Way("m.onnx", "onnxruntime", threads=2, instances=1, batch=4)
DIGEST = digest_of(b"m")
ENGINES = {"onnxruntime": "1"}


def loaded(path: Path, hardware: str = "a, 2 cores", engines: dict[str, str] | None = None) -> TunedWays:
    return TunedWays(path).load(hardware, engines or ENGINES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "new" / "tuned.json"
    loaded(place).keep(DIGEST, WAY, 1.3, 50, "1.30 times")
    return place


def test_the_next_start_has_what_was_chosen(path: Path) -> None:
    kept = loaded(path).of(DIGEST)
    assert kept is not None
    assert kept.way == WAY
    assert kept.text == "tuned: 1 instance of 2 threads, up to 4 samples at once: 1.30 times"


@pytest.mark.parametrize(("hardware", "engines"), [("b", ENGINES), ("a, 2 cores", {"onnxruntime": "2"})])
def test_it_does_not_count_on_another_device_or_with_another_engine(
    path: Path, hardware: str, engines: dict[str, str]
) -> None:
    assert loaded(path, hardware, engines).of(DIGEST) is None


def test_it_does_not_count_for_other_files(path: Path) -> None:
    assert loaded(path).of(digest_of(b"another")) is None


def test_it_can_be_forgotten(path: Path) -> None:
    assert loaded(path).forget(DIGEST)
    assert not loaded(path)
    assert not loaded(path).forget(DIGEST)


def test_a_damaged_file_tunes_nothing(path: Path) -> None:
    path.write_text("[{")
    assert loaded(path).of(DIGEST) is None


def test_files_have_the_same_digest_wherever_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    assert read_digest(tmp_path, ("b", "a")) == files_digest({"a": digest_of(b"1"), "b": digest_of(b"2")})


def test_what_was_tuned_counts_where_nobody_says_anything(path: Path) -> None:
    kept, device = loaded(path).of(DIGEST), Device(4, None)
    found = Found("m", "1", Path("m.onnx"), ("m.onnx",), ((1, 0, 0),))
    sizing = sizing_of(found, Asked(), device, kept)
    assert (sizing.instances, sizing.threads, sizing.batching) == (1, 2, Batching(max_batch=4))
    assert sizing.why.startswith("tuned: ")
    assert sizing_of(found, Asked(instances=3), device, kept).instances == 3
    config = TritonConfig(instances=2)
    said = sizing_of(Found("m", "1", Path("m"), ("m",), ((1, 0, 0),), config=config), Asked(), device, kept)
    assert (said.instances, said.threads) == (2, 1)
