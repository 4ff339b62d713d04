"""Where a port is bound: names are looked up before the process is confined, since it may ask nobody afterwards."""

import ipaddress
import socket

import msgspec

from edge_node.serving.settings import ServingSettings


def with_numbers(settings: ServingSettings) -> ServingSettings:
    """The settings with addresses in place of names.

    Raises:
        OSError: nobody knows a name.
    """
    found = {way: _numeric(getattr(settings, way)) for way in ("grpc", "http", "metrics")}
    return msgspec.structs.replace(settings, **found)


def _numeric(address: str) -> str:
    """HOST:PORT with the first address of a name; `localhost` is every machine's own, and has two."""
    host, _, port = address.rpartition(":")
    if not address or host == "localhost" or _is_number(host.removeprefix("[").removesuffix("]")):
        return address
    family, _, _, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
    return f"[{place[0]}]:{port}" if family == socket.AF_INET6 else f"{place[0]}:{port}"


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
