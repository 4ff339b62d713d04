"""Frames in shared memory."""

import os
import threading

import numpy as np
import pytest

from edge_node.capture.frames import RGB
from edge_node.capture.ring import SLOTS, RingReader, RingWriter


def frame(value: int, height: int = 4, width: int = 6) -> RGB:
    return np.full((height, width, 3), value, np.uint8)


def pair(slot_bytes: int = 72) -> tuple[RingWriter, RingReader]:
    writer = RingWriter(slot_bytes)
    reader = RingReader(os.dup(writer.fd), writer.slots, slot_bytes)
    writer.close()
    return writer, reader


def copied(reader: RingReader, version: int, height: int = 4, width: int = 6) -> RGB | None:
    """What a reader does that wants a frame for itself."""
    copy = reader.view(version, height, width).copy()
    return copy if reader.holds(version) else None


def test_what_is_written_is_read() -> None:
    writer, reader = pair()
    for value in range(10):
        version = writer.write(frame(value))
        got = copied(reader, version, 4, 6)
        assert got is not None
        assert np.array_equal(got, frame(value))


def test_a_smaller_frame_fits_into_a_larger_slot() -> None:
    writer, reader = pair()
    version = writer.write(frame(7, 2, 3))
    got = copied(reader, version, 2, 3)
    assert got is not None
    assert got.shape == (2, 3, 3)
    assert (got == 7).all()


def test_the_last_frames_can_be_read_until_their_slot_is_reused() -> None:
    writer, reader = pair()
    versions = [writer.write(frame(value)) for value in range(SLOTS + 1)]
    assert copied(reader, versions[0], 4, 6) is None
    assert all(copied(reader, version, 4, 6) is not None for version in versions[1:])


def test_a_view_is_no_copy_and_cannot_be_written() -> None:
    writer, reader = pair()
    version = writer.write(frame(1))
    view = reader.view(version, 4, 6)
    assert (view == 1).all()
    assert not view.flags.writeable
    for _ in range(SLOTS):
        writer.write(frame(9))
    assert not reader.holds(version)
    assert (view == 9).all()


def test_without_memfd_an_unlinked_file_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    writer, reader = pair()
    assert copied(reader, writer.write(frame(3)), 4, 6) is not None


def test_a_reader_that_is_overtaken_never_gets_a_torn_frame() -> None:
    """The writer never waits; whatever the reader gets is one frame, not a mixture of two."""
    size = (200, 300)
    writer, reader = pair(200 * 300 * 3)
    newest = writer.write(frame(0, *size))
    stopping = threading.Event()

    def write() -> None:
        nonlocal newest
        while not stopping.is_set():
            newest = writer.write(frame(newest % 251, *size))

    thread = threading.Thread(target=write)
    thread.start()
    got = [copied(reader, newest, *size) for _ in range(2000)]
    stopping.set()
    thread.join()
    assert all((one == one.flat[0]).all() for one in got if one is not None)
