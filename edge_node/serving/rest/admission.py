"""Who may ask over HTTP. Every request passes here before its body is read."""

from collections.abc import Mapping

from edge_node.serving.firewall.guard import Admitted, Asking, Guard
from edge_node.serving.inference import Kind, ServingError


def admit(guard: Guard, asking: Asking, scope: str, headers: Mapping[str, str]) -> Admitted:
    """Whoever asks, if they may.

    A page that a browser on this device shows can send requests to loopback, too; it is told from a program by the
    header Origin, which browsers add (RFC 6454) and which names another site than the one asked.

    Raises:
        ServingError: UNKNOWN_CALLER, DENIED, BUSY.
    """
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != headers.get("Host", ""):
        raise ServingError(Kind.DENIED, f"web pages of {origin[:100]} may not ask here", cause="origin")
    return guard.admit(asking, scope)
