"""Who may ask over HTTP. Every request passes here before its body is read."""

from collections.abc import Mapping

from edge_node.serving.inference import Caller, Kind, ServingError


def admit(caller: Caller, scope: str, headers: Mapping[str, str]) -> Caller:
    """Whoever asks, if they may.

    A page that a browser on this device shows can send requests to loopback, too; it is told from a program by the
    header Origin, which browsers add (RFC 6454) and which names another site than the one asked.

    Raises:
        ServingError: DENIED.
    """
    if scope and scope not in caller.scopes:
        raise ServingError(Kind.DENIED, f"this needs the scope '{scope}'")
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != headers.get("Host", ""):
        raise ServingError(Kind.DENIED, f"web pages of {origin[:100]} may not ask here")
    return caller
