"""A frame in use, as it lies in the shared memory of a real frame server."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_node.capture.client import CapturedFrame, FrameClient
from edge_node.capture.frames import Decoded
from edge_node.capture.ring import SLOTS
from edge_node.capture.server import FrameServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FrameServer]:
    served = FrameServer(tmp_path / "frames.sock", lossless=False)
    served.listen()
    yield served
    served.close()


def offer_until_taken(server: FrameServer, value: int) -> None:
    """Offer frames of one value until somebody who waits has got one."""
    frame = np.full((4, 6, 3), value, np.uint8)
    published, deadline = server.published, time.monotonic() + 10
    while server.published == published and time.monotonic() < deadline:
        server.offer(Decoded(0.0, time.time_ns(), 0, lambda: frame))
        time.sleep(0.001)


def taken(server: FrameServer, client: FrameClient, value: int) -> CapturedFrame:
    assert client.next(0.05) is None  # subscribes, and asks
    offer_until_taken(server, value)
    frame = client.next(10)
    assert frame is not None
    return frame


def test_a_frame_is_intact_while_its_place_is_not_needed(server: FrameServer, tmp_path: Path) -> None:
    with FrameClient(str(tmp_path / "frames.sock")) as client:
        frame = taken(server, client, 7)
        assert (frame.rgb == 7).all()
        assert client.intact(frame)


def test_a_frame_that_another_subscriber_let_be_overwritten_is_not_intact_and_counts_as_dropped(
    server: FrameServer, tmp_path: Path
) -> None:
    path = str(tmp_path / "frames.sock")
    with FrameClient(path) as slow, FrameClient(path) as fast:
        frame = taken(server, slow, 7)
        before = slow.dropped
        for value in range(SLOTS):
            assert slow.intact(frame)
            taken(server, fast, value)
        assert not slow.intact(frame)
        assert slow.dropped == before + 1
