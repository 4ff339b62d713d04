"""A camera that costs no decoding, as a process of its own: one photo, again and again, on a real frame server.

    python -m tests.benchmarks.camera SOCKET PHOTO WIDTH HEIGHT [RATE]

Without a rate it is lossless and serves as fast as frames are taken; with one, the newest wins. What it costs beside
the pipeline is the copy of each frame into the shared memory. It lives until its standard input ends.
"""

import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np
from PIL import Image

from edge_node.capture.frames import Decoded
from edge_node.capture.server import FrameServer


class Camera:
    """The process as the benchmarks use it."""

    def __init__(self, socket: Path, photo: Path, width: int, height: int, rate: float | None = None) -> None:
        self.socket = socket
        frame = (str(photo), str(width), str(height))
        self._command = [sys.executable, "-m", "tests.benchmarks.camera", str(socket), *frame]
        self._command += [] if rate is None else [str(rate)]

    def __enter__(self) -> "Camera":
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()


def main(socket: str, photo: str, width: str, height: str, rate: str | None = None) -> None:
    """Serve until standard input ends."""
    frame = np.asarray(Image.open(photo).convert("RGB").resize((int(width), int(height))))
    server, over = FrameServer(Path(socket), lossless=rate is None), Event()
    server.listen()
    print("listening", flush=True)
    serving = Thread(target=_serve, args=(server, frame, None if rate is None else float(rate), over))
    serving.start()
    sys.stdin.read()
    over.set()
    server.close()
    serving.join()


def _serve(server: FrameServer, frame: "np.typing.NDArray[np.uint8]", rate: float | None, over: Event) -> None:
    begun, number = time.perf_counter(), 0
    while not over.is_set():
        if rate is not None:
            over.wait(max(0.0, begun + number / rate - time.perf_counter()))
        server.offer(Decoded(number / (rate or 1.0), time.time_ns(), 0, lambda: frame))
        number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
