"""What a capture says: to its subscribers on the frame socket, and to the agent on standard output.

The frame socket is a Unix socket of type SOCK_SEQPACKET, so that each message is one packet of MessagePack. Capture
speaks first: `Ring` (with the descriptor of the shared memory as SCM_RIGHTS), then a `Ready` for each frame that the
subscriber may read, and `SourceState` whenever the source's state changes. A subscriber answers only `Want`.

The agent writes one line of JSON (`CaptureConfig`) to a capture's standard input and holds it open for as long as it
lives; the capture writes a line (`CaptureReport`) each second and at every change of state.
"""

import msgspec

from edge_node.config import Source


class Ring(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The shared memory that the following `Ready` refer to: `slots` of `slot_bytes` each, headers not counted."""

    slots: int
    slot_bytes: int
    lossless: bool


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A frame lies in the ring: RGB, uint8, HWC. Sequences count the source's frames, so that a gap is what was missed.

    `version` counts what was written into this ring: the slot is its remainder, see `ring`.
    `ingress_bytes` is what the source has taken in up to this frame, encoded, since the capture began.
    """

    sequence: int
    version: int
    width: int
    height: int
    captured_ns: int
    stream_time_s: float | None
    ingress_bytes: int


class SourceState(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """`connecting`, `connected`, `lost: … retrying in 2 s`, `ended`, `failed: …`."""

    text: str


class Want(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The subscriber has read everything up to `through` and takes the next frame.

    `pipeline` is whom it takes frames for. One that is `watching` takes only what that pipeline takes, too: no frame is
    made for it, and none waits for it.
    """

    through: int
    pipeline: str = ""
    watching: bool = False


ToSubscriber = Ring | Ready | SourceState


class CaptureConfig(msgspec.Struct, frozen=True):
    """What a capture process is told; it may hold a camera's password, so it is never an argument of a command."""

    name: str
    source: Source
    socket: str


class CaptureReport(msgspec.Struct, frozen=True):
    """How a source is doing; counters since the capture began.

    `decoded` frames came out of the decoder, `published` ones were converted to RGB because somebody waited for them.
    """

    state: str
    decoded: int = 0
    published: int = 0
    ingress_bytes: int = 0
    subscribers: int = 0
