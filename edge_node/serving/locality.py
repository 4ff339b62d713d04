"""Who is on this machine, by the address of the other end: pure. Whether that lets anybody in is not decided here."""

from functools import lru_cache
from ipaddress import ip_address

_PREFIXES = ("unix:", "ipv4:", "ipv6:")


@lru_cache(maxsize=1024)
def is_local(address: str) -> bool:
    """Whether the other end is on this machine: loopback or a Unix socket.

    Args:
        address: `127.0.0.1:4711`, `[::1]:4711`, or as gRPC says it: `ipv4:127.0.0.1:4711`, `unix:/path`.
    """
    if address.startswith("unix:"):
        return True
    for prefix in _PREFIXES:
        address = address.removeprefix(prefix)
    host = address.replace("%5B", "[").replace("%5D", "]")
    host = host[1:].partition("]")[0] if host.startswith("[") else host
    host = host.rpartition(":")[0] if host.count(":") == 1 else host
    try:
        found = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
