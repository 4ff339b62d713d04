"""Under which addresses others reach this machine: what join tokens and zeroconf say."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence

import ifaddr

from protos.broker_url import is_loopback
from protos.join_token import MAX_ADDRESSES

UNSPECIFIED = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


def machine_addresses() -> tuple[str, ...]:
    """This machine's addresses that others can dial, IPv4 first; none where it has no network."""
    found = [
        ipaddress.ip_address(str(address.ip) if address.is_IPv4 else str(address.ip[0]))
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
    ]
    usable = (one for one in found if not one.is_loopback and not one.is_link_local)
    return tuple(str(one) for one in sorted(usable, key=lambda one: one.version))


def machine_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def advertised(configured: Iterable[str], host: str, port: int, addresses: Iterable[str]) -> tuple[str, ...]:
    """host:port of everything that devices may try, at most as many as a join token holds.

    Args:
        configured: what the configuration says, each with or without a port; where it says nothing:
        host: what the server is bound to, and
        port: where it listens, and
        addresses: this machine's.
    """
    hosts = tuple(configured) or ((host,) if host not in UNSPECIFIED else tuple(addresses) or ("127.0.0.1",))
    return tuple(dict.fromkeys(_with_port(one, port) for one in hosts))[:MAX_ADDRESSES]


def reached(place: str, addresses: Sequence[str]) -> str:
    """How to dial a `host:port` or URL that listens on every interface: at this machine's first address.

    `reached("mqtts://0.0.0.0:8883", ("10.0.0.5",))` is `mqtts://10.0.0.5:8883`. Others are what they are.
    """
    head, slashes, authority = place.rpartition("//")
    host, _, port = authority.rpartition(":")
    if host.strip("[]") not in UNSPECIFIED or not port:
        return place
    return f"{head}{slashes}{_with_port(addresses[0] if addresses else '127.0.0.1', int(port))}"


def hosts_in_certificate(configured: Iterable[str], host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """The names and addresses that the coordinator's certificate bears beside loopback's."""
    bound = () if host in UNSPECIFIED or is_loopback(host) else (host,)
    return tuple(dict.fromkeys((*configured, *bound, *addresses)))


def _with_port(text: str, port: int) -> str:
    try:
        is_v6 = ipaddress.ip_address(text.strip("[]")).version == 6
    except ValueError:
        return text if text.rpartition(":")[2].isdecimal() and ":" in text else f"{text}:{port}"
    return f"[{text.strip('[]')}]:{port}" if is_v6 else f"{text}:{port}"
