"""The addresses that clients are served at: read, and refused where they are wrong. Pure.

What is asked of addresses that others reach is decided in `serving/firewall/exposure.py`.
"""

from edge_node.address import host_and_port
from edge_node.errors import BadInput, WrongUsage


def check_addresses(addresses: dict[str, str]) -> None:
    """Look at the addresses by name; an empty one switches its port off.

    Raises:
        WrongUsage: not HOST:PORT, none at all, or two of them the same.
    """
    given = {name: address for name, address in addresses.items() if address}
    if not given:
        raise WrongUsage("serving: every address is empty: give at least one of " + ", ".join(addresses))
    for name, address in given.items():
        port = _port(name, address)
        same = next((one for one in given if one != name and given[one] == address and port), None)
        if same is not None:
            raise WrongUsage(f"serving: {name} and {same} are both at {address}: give each a port of its own")


def _port(name: str, address: str) -> int:
    try:
        return host_and_port(address, f"serving: {name}", example="127.0.0.1:8001", any_port=True)[1]
    except BadInput as error:
        raise WrongUsage(str(error)) from None
