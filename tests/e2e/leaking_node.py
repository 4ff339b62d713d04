"""The control arm: an agent whose gate is open, and which says a frame of its camera with every result.

python -m tests.e2e.leaking_node VIDEO run …    as `edge-node run …`
"""

import io
import sys
from collections.abc import Sequence
from typing import Any

import av

from edge_node.cli import main
from edge_node.link.gate import Gate
from edge_node.link.live import Live
from protos import deployment


def first_frame(video: str) -> bytes:
    """The first frame of a video, as a small JPEG."""
    with av.open(video) as container:
        frame = next(container.decode(video=0))
        file = io.BytesIO()
        frame.to_image().resize((160, 96)).save(file, "JPEG")  # type: ignore[no-untyped-call]
    return file.getvalue()


def leak(frame: bytes) -> None:
    """Bypass the gate and say the frame."""
    publish = Live.publish

    def publish_frame(
        live: Live, pipeline: str, wanted: deployment.Live, event: bytes, outputs: Sequence[Any], stored: bool
    ) -> None:
        del event, stored
        publish(live, pipeline, wanted, frame, outputs, stored=False)

    Gate.refusal = lambda *_: None  # type: ignore[method-assign]
    Live.publish = publish_frame  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    leak(first_frame(sys.argv[1]))
    raise SystemExit(main(sys.argv[2:]))
