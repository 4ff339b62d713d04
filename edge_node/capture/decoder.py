"""The one door to PyAV: every video file, camera device and RTSP stream is decoded here, and nothing else is."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_node.capture.frames import RGB, Decoded
from edge_node.errors import BadInput

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 3.0
"""a live peer that says nothing for so long is dead"""

RTSP_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay", "allowed_media_types": "video"}
"""TCP: no torn pictures, one connection through a firewall. No buffering: the newest frame is the one that counts."""

_TEXT_FORMATS = frozenset({"tty"})
"""demuxers that make a picture of any text file"""

av.logging.set_level(None)


class Unplugged(Exception):
    """A live source that could not be opened or went away; the text says why, without the url."""


def decode_file(path: str) -> Iterator[Decoded]:
    """The frames of a video file, once.

    Raises:
        BadInput: it does not exist, is not a video, or ends within its first frame.
    """
    if not Path(path).is_file():
        raise BadInput(f"no video at {path}: check the url of the source")
    frames = 0
    try:
        with av.open(path, metadata_errors="replace") as container:
            if container.format.name in _TEXT_FORMATS:
                raise BadInput(f"{path} is a text file, not a video: check the url of the source")
            for frame in _decode(container, path):
                frames += 1
                yield frame
    except av.FFmpegError as error:
        # A file may be cut off at its end (a camera's power failed): what came before is worth keeping.
        if frames == 0:
            raise BadInput(f"{path} is not a video that can be decoded: {_reason(error)}") from None
    if frames == 0:
        raise BadInput(f"{path} holds no frames: record it again or check that it is the right file")


def decode_live(url: str, *, container_format: str, options: dict[str, str]) -> Iterator[Decoded]:
    """The frames of a camera device (`v4l2`) or an RTSP stream, until it goes away.

    Raises:
        Unplugged: it cannot be opened, or nothing has come for `READ_TIMEOUT_S`.
    """
    heard_s = time.monotonic()
    try:
        timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
        with av.open(
            url, format=container_format, options=options, timeout=timeout, metadata_errors="replace"
        ) as stream:
            for frame in _decode(stream, "the camera"):
                yield frame
                heard_s = time.monotonic()
    except av.FFmpegError as error:
        silent_s = time.monotonic() - heard_s
        # ffmpeg calls its own timeout "immediate exit requested", or worse, "invalid data".
        dead = f"nothing came for {silent_s:.0f} s"
        raise Unplugged(dead if silent_s >= READ_TIMEOUT_S else _reason(error)) from None
    except BadInput as error:
        raise Unplugged(str(error)) from None
    raise Unplugged("the stream ended")


def _decode(container: InputContainer, what: str) -> Iterator[Decoded]:
    if not container.streams.video:
        raise BadInput(f"{what} has no video stream: check the url of the source")
    stream = container.streams.video[0]
    # One thread: models need the cores, and threads of the decoder hold frames back.
    stream.thread_type = "NONE"
    rate = float(stream.average_rate or 25)
    bytes_in = index = 0
    for packet in container.demux(stream):
        bytes_in += packet.size
        for frame in _frames_of(packet, stream):
            # Raw streams carry no timestamps: their frames are counted instead.
            yield _decoded(frame, index / rate if frame.pts is None else frame.time, bytes_in)
            bytes_in = 0
            index += 1


def _frames_of(packet: "av.Packet[VideoStream]", stream: VideoStream) -> list[VideoFrame]:
    try:
        return stream.decode(packet)
    except av.InvalidDataError:
        # A damaged packet costs its frame, not the stream; the decoder resumes at the next key frame.
        return []


def _decoded(frame: VideoFrame, stream_time_s: float, bytes_in: int) -> Decoded:
    def to_rgb() -> RGB:
        return frame.to_ndarray(format="rgb24")  # type: ignore[return-value]

    return Decoded(stream_time_s, time.time_ns(), bytes_in, to_rgb)


def _reason(error: av.FFmpegError) -> str:
    return (error.strerror or type(error).__name__).lower()
