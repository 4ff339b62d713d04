"""A video file."""

from collections.abc import Callable, Iterator
from threading import Event

from edge_node.capture.decoder import decode_file
from edge_node.capture.frames import Decoded


class Video:
    """The frames of a file, once or round and round; stream time is the position in the file."""

    live = False

    def __init__(self, path: str, *, loop: bool) -> None:
        self._path = path
        self._loop = loop

    def frames(self, on_state: Callable[[str], None], stopping: Event) -> Iterator[Decoded]:
        """The frames in the order of their presentation.

        Raises:
            BadInput: no such file, not a video, or no frames in it.
        """
        while True:
            for index, frame in enumerate(decode_file(self._path)):
                if index == 0:
                    on_state("connected")
                if stopping.is_set():
                    return
                yield frame
            if not self._loop:
                return
