"""A source that goes away and comes back: connects, tells its state, and tries again with backoff."""

import random
from collections.abc import Callable, Iterator
from threading import Event

from edge_node.capture.backoff import retry_delay_s
from edge_node.capture.decoder import Unplugged
from edge_node.capture.frames import Decoded
from edge_node.capture.kinds import shown


class Live:
    """Frames from `connect`, called again whenever the stream breaks off."""

    live = True

    def __init__(self, url: str, connect: Callable[[], Iterator[Decoded]]) -> None:
        self._name = shown(url)
        self._connect = connect

    def frames(self, on_state: Callable[[str], None], stopping: Event) -> Iterator[Decoded]:
        """Frames for as long as `stopping` is not set. What goes wrong is told as a state, never raised."""
        attempt = 0
        while not stopping.is_set():
            on_state("connecting")
            try:
                for index, frame in enumerate(self._connect()):
                    if index == 0:
                        on_state("connected")
                        attempt = 0
                    if stopping.is_set():
                        return
                    yield frame
            except Unplugged as reason:
                attempt += 1
                delay_s = retry_delay_s(attempt, random.random())  # noqa: S311 - jitter, not a secret
                on_state(f"lost: {self._name}: {reason}; retrying in {delay_s:.1f} s")
                stopping.wait(delay_s)
