"""A network camera: RTSP over TCP."""

from edge_node.capture.decoder import RTSP_OPTIONS, decode_live
from edge_node.capture.sources.live import Live


def rtsp(url: str) -> Live:
    """The camera at an rtsp:// or rtsps:// address, which may carry user and password."""
    return Live(url, lambda: decode_live(url, container_format="rtsp", options=RTSP_OPTIONS))
