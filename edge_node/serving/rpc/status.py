"""Why a request has no answer, as gRPC says it."""

from math import ceil

import grpc

from edge_node.serving.inference import Kind, ServingError

CODES = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Kind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.UNKNOWN_CALLER: grpc.StatusCode.UNAUTHENTICATED,
    Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.FAILED: grpc.StatusCode.INTERNAL,
}


def retry_after(error: ServingError) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that says when to come back: in seconds as in HTTP, and as gRPC's clients read it."""
    if error.retry_after_s is None:
        return ()
    seconds = max(error.retry_after_s, 0.0)
    return ("retry-after", str(ceil(seconds))), ("grpc-retry-pushback-ms", str(ceil(seconds * 1000)))
