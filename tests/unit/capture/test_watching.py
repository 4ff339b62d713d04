"""Who watches a pipeline sees the frames that it takes, and is never waited for."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from edge_node.capture.client import CapturedFrame, FrameClient
from edge_node.capture.frames import Decoded
from edge_node.capture.ring import SLOTS
from edge_node.capture.server import FrameServer


@pytest.fixture(params=[False, True], ids=["newest", "lossless"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FrameServer]:
    served = FrameServer(tmp_path / "frames.sock", lossless=request.param)
    served.listen()
    yield served
    served.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "frames.sock")


def decoded(value: int) -> Decoded:
    return Decoded(float(value), time.time_ns(), 0, lambda: np.full((4, 6, 3), value, np.uint8))


def waits(client: FrameClient) -> None:
    """Subscribed, and asking for the next frame."""
    assert client.next(0.1) is None


def value_of(frame: CapturedFrame | None) -> int:
    assert frame is not None
    return int(frame.rgb[0, 0, 0])


def test_a_watcher_sees_the_frame_that_its_pipeline_takes(server: FrameServer, path: str) -> None:
    with FrameClient(path, pipeline="shelf") as taker, FrameClient(path, pipeline="shelf", watching=True) as watcher:
        waits(watcher)
        waits(taker)
        server.offer(decoded(7))
        taken, seen = taker.next(5), watcher.next(5)
        assert value_of(taken) == value_of(seen) == 7
        assert taken is not None
        assert seen is not None
        assert taken.captured_ns == seen.captured_ns


def test_a_watcher_sees_nothing_of_other_pipelines(server: FrameServer, path: str) -> None:
    with FrameClient(path, pipeline="door") as taker, FrameClient(path, pipeline="shelf", watching=True) as watcher:
        waits(watcher)
        waits(taker)
        server.offer(decoded(7))
        assert value_of(taker.next(5)) == 7
        assert watcher.next(0.1) is None


def test_no_frame_is_made_for_a_watcher_alone(path: str, tmp_path: Path) -> None:
    served = FrameServer(tmp_path / "frames.sock", lossless=False)
    served.listen()
    begins = Thread(target=served.wait_for_subscriber, daemon=True)  # as a file does before its first frame
    begins.start()
    with FrameClient(path, pipeline="shelf", watching=True) as watcher:
        waits(watcher)
        served.offer(decoded(7))
        assert served.published == 0
        assert begins.is_alive()
    served.close()
    begins.join(5)


def test_nobody_waits_for_a_watcher_that_hangs(server: FrameServer, path: str) -> None:
    count = 5 * SLOTS
    with FrameClient(path, pipeline="shelf") as taker, FrameClient(path, pipeline="shelf", watching=True) as watcher:
        waits(watcher)
        waits(taker)
        offering = Thread(target=offer_until_taken, args=(server, count), daemon=True)
        offering.start()
        assert [value_of(taker.next(5)) for _ in range(count)] == list(range(count))
        offering.join(5)
        late = watcher.next(5)
        assert late is not None
        assert not watcher.intact(late)  # the loss is its own


def test_nobody_waits_for_whoever_connects_and_says_nothing(server: FrameServer, path: str) -> None:
    count = 5 * SLOTS
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute, FrameClient(path, pipeline="shelf") as taker:
        mute.connect(path)
        waits(taker)
        offering = Thread(target=offer_until_taken, args=(server, count), daemon=True)
        offering.start()
        assert [value_of(taker.next(5)) for _ in range(count)] == list(range(count))
        offering.join(5)


def test_who_comes_late_to_a_source_that_waits_begins_with_the_next_frame(path: str, tmp_path: Path) -> None:
    count = 5 * SLOTS
    served = FrameServer(tmp_path / "frames.sock", lossless=True)
    served.listen()
    with FrameClient(path, pipeline="shelf") as taker, FrameClient(path, pipeline="door") as late:
        waits(taker)
        offering = Thread(target=offer_until_taken, args=(served, count), daemon=True)
        offering.start()
        assert [value_of(taker.next(5)) for _ in range(2 * SLOTS)] == list(range(2 * SLOTS))
        seen: list[int] = []
        reading = Thread(target=read_until, args=(late, count - 1, seen), daemon=True)
        reading.start()
        assert [value_of(taker.next(5)) for _ in range(2 * SLOTS, count)] == list(range(2 * SLOTS, count))
        reading.join(5)
        assert seen == list(range(count - len(seen), count))
        offering.join(5)
    served.close()


def read_until(client: FrameClient, last: int, seen: list[int]) -> None:
    """Read frames up to the last one, or until none comes: on a busy machine all may be over by then."""
    while (not seen or seen[-1] != last) and (frame := client.next(2)) is not None:
        seen.append(value_of(frame))


def offer_until_taken(server: FrameServer, count: int) -> None:
    """Offer frames 0, 1, …, each until somebody takes it."""
    for value in range(count):
        published = server.published
        while server.published == published:
            server.offer(decoded(value))
            time.sleep(0.001)
