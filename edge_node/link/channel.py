"""In the child process: a gRPC channel through the tunnel, and one line for a call that fails on it."""

import contextlib
import ssl
from collections.abc import Iterator

import grpc

from edge_node.link.child import Failed
from edge_node.link.tls import PinnedContext, alert_in
from edge_node.link.tunnel import NotTaken, tunnel

UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
BROKEN = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 8 * 1024 * 1024))


class CallFailed(Exception):
    """A call that failed, and whose fault it is."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.line)
        self.failed = failed


@contextlib.contextmanager
def channel_to(address: str, context: PinnedContext) -> Iterator[grpc.Channel]:
    """A channel to host:port for the block.

    Raises:
        CallFailed: what a call in the block came to.
    """
    with tunnel(address, context) as way, grpc.insecure_channel(way.target, options=OPTIONS) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise CallFailed(_failure(address, error, way.trouble)) from None


def _failure(address: str, error: grpc.RpcError, trouble: OSError | None) -> Failed:
    code, details = error.code(), " ".join(str(error.details() or "").split())
    if code in UNREACHABLE and isinstance(trouble, ssl.SSLError):
        return _not_trusted(address, trouble)
    if code in UNREACHABLE and isinstance(trouble, NotTaken):
        return Failed("refused", f"coordinator {address} does not take this node's certificate, or is going down")
    if code in UNREACHABLE:
        why = "no answer in time" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "nobody answers"
        return Failed("unreachable", f"coordinator {address}: {why}: is edge-coordinator serve running there?")
    if code in BROKEN:
        return Failed("failed", f"coordinator {address} failed: {details}")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Failed("refused", f"coordinator {address} does not know this call: it is of another version")
    return Failed("refused", details)


def _not_trusted(address: str, trouble: ssl.SSLError) -> Failed:
    """One of the two sides does not take the other's certificate, or there is no TLS at all."""
    if isinstance(trouble, ssl.SSLCertVerificationError):
        why = getattr(trouble, "verify_message", "") or trouble.args[-1]
        return Failed("stranger", f"{address} is not the coordinator that is trusted here: {why}")
    if alert := alert_in(trouble):
        return Failed("refused", f"coordinator {address} does not take this node's certificate: {alert}")
    return Failed("unreachable", f"{address} does not answer as a coordinator does (TLS: {trouble.reason})")
