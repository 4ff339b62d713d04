"""HOST:PORT as people give it: read in one place, and refused with one message. Pure."""

from edge_node.errors import BadInput

HIGHEST = 65535


def host_and_port(text: str, what: str, *, example: str, any_port: bool = False) -> tuple[str, int]:
    """The host as it is written, and the port.

    Args:
        text: HOST:PORT; an IPv6 address stands in brackets.
        what: the address is of, for the message.
        example: of one.
        any_port: 0 is a port, too: whichever is free.

    Raises:
        BadInput: it is none.
    """
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= len(str(HIGHEST)) else -1
    if not (colon and host and (0 if any_port else 1) <= number <= HIGHEST):
        raise BadInput(f"{what} {text!r} is not an address: give HOST:PORT, for example {example}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise BadInput(f"{what} {text!r}: an IPv6 address stands in brackets: [{host}]:{port}")
    return host, number
