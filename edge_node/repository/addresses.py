"""The addresses that clients are served at: read, and refused where they are wrong. Pure.

What is asked of addresses that others reach is decided in `serving/firewall/exposure.py`.
"""

from edge_node.errors import WrongUsage


def check_addresses(addresses: dict[str, str]) -> None:
    """Look at the addresses by name; an empty one switches its port off.

    Raises:
        WrongUsage: not HOST:PORT, none at all, or two of them the same.
    """
    given = {name: address for name, address in addresses.items() if address}
    if not given:
        raise WrongUsage("serving: every address is empty: give at least one of " + ", ".join(addresses))
    for name, address in given.items():
        _, port = _parts(name, address)
        same = next((one for one in given if one != name and given[one] == address and port), None)
        if same is not None:
            raise WrongUsage(f"serving: {name} and {same} are both at {address}: give each a port of its own")


def _parts(name: str, address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise WrongUsage(f"serving: {name} {address!r} is not an address: give HOST:PORT, for example 127.0.0.1:8001")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise WrongUsage(f"serving: {name} {address!r}: an IPv6 address stands in brackets: [{host}]:{port}")
    return host, int(port)
