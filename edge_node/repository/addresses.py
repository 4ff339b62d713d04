"""The addresses that clients are served at: read, and refused where they are wrong or open to others. Pure."""

import ipaddress

from edge_node.errors import Refused, WrongUsage


def check_addresses(addresses: dict[str, str]) -> None:
    """Look at the addresses by name; an empty one switches its port off.

    Raises:
        WrongUsage: not HOST:PORT, none at all, or two of them the same.
        Refused: not of this machine alone.
    """
    given = {name: address for name, address in addresses.items() if address}
    if not given:
        raise WrongUsage("serving: every address is empty: give at least one of " + ", ".join(addresses))
    for name, address in given.items():
        host, port = _parts(name, address)
        same = next((one for one in given if one != name and given[one] == address and port), None)
        if same is not None:
            raise WrongUsage(f"serving: {name} and {same} are both at {address}: give each a port of its own")
        if not _is_loopback(host):
            raise Refused(
                f"serving: {name} at {address}: models are served to this machine alone: give 127.0.0.1:{port}"
            )


def _parts(name: str, address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise WrongUsage(f"serving: {name} {address!r} is not an address: give HOST:PORT, for example 127.0.0.1:8001")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
