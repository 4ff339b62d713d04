"""Shared memory that clients have registered."""

import os
import socket
from pathlib import Path

import pytest

from edge_node.serving.inference import InRegion, Kind, ServingError
from edge_node.serving.regions import Regions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").write_bytes(bytes(range(100)))
    return tmp_path


@pytest.fixture
def regions(folder: Path) -> Regions:
    made = Regions(limit=3, folder=str(folder))
    made.register("r", "/mine", 10, 50)
    return made


def test_a_tensor_is_read_from_where_the_client_put_it(regions: Regions) -> None:
    into = bytearray(4)
    regions.read(InRegion("r", 5, 4), memoryview(into))
    assert bytes(into) == bytes((15, 16, 17, 18))


def test_a_tensor_is_written_where_the_client_wants_it(regions: Regions, folder: Path) -> None:
    regions.write(InRegion("r", 5, 4), memoryview(b"abc"))
    assert (folder / "mine").read_bytes()[14:19] == bytes((14,)) + b"abc" + bytes((18,))


def test_the_status_says_what_is_registered_until_it_is_not(regions: Regions) -> None:
    regions.register("s", "mine", 0, 100)
    assert regions.status() == {"r": ("/mine", 10, 50), "s": ("mine", 0, 100)}
    regions.unregister("s")
    regions.unregister("never was")
    assert list(regions.status()) == ["r"]
    regions.unregister("")
    assert regions.status() == {}


@pytest.mark.parametrize(
    "place", [InRegion("r", 47, 4), InRegion("r", -1, 4), InRegion("r", 0, -1), InRegion("q", 0, 1)]
)
def test_a_place_outside_of_a_region_is_refused(regions: Regions, place: InRegion) -> None:
    with pytest.raises(ServingError, match=r"Invalid offset \+ byte size|Unable to find shared memory region: 'q'"):
        regions.read(place, memoryview(bytearray(max(0, place.size))))


def test_more_than_the_place_holds_is_refused(regions: Regions) -> None:
    with pytest.raises(ServingError, match="3 bytes are too few for 4"):
        regions.write(InRegion("r", 0, 3), memoryview(b"abcd"))


def test_memory_that_its_client_has_shortened_ends_nothing(regions: Regions, folder: Path) -> None:
    os.truncate(folder / "mine", 12)
    with pytest.raises(ServingError, match="region 'r' ends before"):
        regions.read(InRegion("r", 0, 4), memoryview(bytearray(4)))


@pytest.mark.parametrize("key", ["", "/", ".", "/..", "a/b", "/../mine", "absent", "a\0b", "link", "folder", "pipe"])
def test_only_regular_files_of_the_folder_are_opened(folder: Path, key: str) -> None:
    (folder / "link").symlink_to(folder / "mine")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ServingError, match="Unable to open shared memory region") as raised:
        Regions(1, str(folder)).register("r", key, 0, 1)
    assert raised.value.kind is Kind.INVALID


@pytest.mark.parametrize(("offset", "size"), [(0, 101), (90, 11), (2**70, 1)])
def test_no_region_is_longer_than_its_memory(folder: Path, offset: int, size: int) -> None:
    with pytest.raises(ServingError, match="no shared memory of at least"):
        Regions(1, str(folder)).register("r", "mine", offset, size)


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (0, 0), (0, -1)])
def test_a_region_of_nothing_is_refused(folder: Path, offset: int, size: int) -> None:
    with pytest.raises(ServingError, match="nothing is there"):
        Regions(1, str(folder)).register("r", "mine", offset, size)


def test_a_name_is_taken_once_and_there_are_not_too_many(regions: Regions) -> None:
    with pytest.raises(ServingError, match="shared memory region 'r' already in manager"):
        regions.register("r", "mine", 0, 1)
    regions.register("s", "mine", 0, 1)
    regions.register("t", "mine", 0, 1)
    with pytest.raises(ServingError, match="at most 3 shared memory regions"):
        regions.register("u", "mine", 0, 1)


def test_a_forgotten_region_keeps_no_descriptor(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    regions = Regions(1, str(folder))
    for _ in range(3):
        regions.register("r", "mine", 0, 1)
        regions.unregister("r")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_sockets_in_the_folder_are_no_memory(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        with pytest.raises(ServingError, match="Unable to open"):
            Regions(1, str(folder)).register("r", "socket", 0, 1)
