"""One file per kind of source, and the choice among them."""

from pathlib import Path

from edge_node.capture.frames import FrameSource
from edge_node.capture.kinds import Kind, kind_of
from edge_node.config import Source


def open_source(source: Source) -> FrameSource:
    """The source that a configuration means. Nothing is opened before its frames are asked for.

    Raises:
        BadInput: the url's scheme is not supported.
    """
    kind = kind_of(source.url, is_folder=Path(source.url).is_dir())
    if kind is Kind.PHOTO or kind is Kind.FOLDER:
        from edge_node.capture.sources.photos import Photos

        return Photos(Path(source.url), loop=source.loop, fps=source.fps)
    if kind is Kind.VIDEO:
        from edge_node.capture.sources.video import Video

        return Video(source.url, loop=source.loop)
    if kind is Kind.CAMERA:
        from edge_node.capture.sources.camera import camera

        return camera(source.url)
    from edge_node.capture.sources.rtsp import rtsp

    return rtsp(source.url)
