"""What `[serving]` asks of clients: which ports others reach, and whether that is safe. Pure.

A port beyond loopback needs TLS and a way to know clients; without them the node refuses to start.
"""

import ipaddress

from edge_node.config import BEYOND_LOOPBACK, ClientLimits, LocalServing
from edge_node.errors import Refused, WrongUsage
from edge_node.serving.settings import MIB, Limits, ServingSettings, Tls

WAYS = ("grpc", "http", "metrics")
EXPOSED_MB = 8
"""the largest request where others ask, unless it is said otherwise"""


def is_loopback(address: str) -> bool:
    """Whether only this device reaches HOST:PORT (or a Unix socket)."""
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host == "localhost" or address.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded_ways(serving: LocalServing) -> tuple[str, ...]:
    """The ports that ask for TLS and names."""
    addresses = {way: getattr(serving, way) for way in WAYS}
    return tuple(way for way in WAYS if addresses[way] and (serving.require_key or not is_loopback(addresses[way])))


def check_exposure(serving: LocalServing) -> None:
    """Look whether the ports may be opened.

    Raises:
        WrongUsage: half of a pair of options.
        Refused: a port that others reach without TLS, or without a way to know them.
    """
    if (serving.tls_cert is None) != (serving.tls_key is None):
        raise WrongUsage("serving: tls_cert and tls_key belong together: give both")
    if serving.tls_cert is not None and serving.self_signed:
        raise WrongUsage("serving: self_signed and tls_cert: leave one of them out")
    guarded = guarded_ways(serving)
    if not guarded:
        return
    has_tls = serving.tls_cert is not None or serving.self_signed
    if serving.key_file is None and serving.client_ca is None:
        raise Refused(
            f"serving: {_who(serving, guarded)} is open to others: give key_file (edge-node key create), or client_ca"
        )
    if not has_tls and (serving.client_ca is not None or not _all_loopback(serving, guarded)):
        raise Refused(f"serving: {_who(serving, guarded)} must speak TLS: give tls_cert and tls_key, or self_signed")


def settings_of(serving: LocalServing, lanes: str, own: Tls | None = None) -> ServingSettings:
    """What the serving process is told.

    Args:
        serving: checked.
        lanes: see `ServingSettings`.
        own: the files of the node's own certificate, where it is self-signed.
    """
    guarded = guarded_ways(serving)
    tls = own
    if serving.tls_cert is not None and serving.tls_key is not None:
        tls = Tls(serving.tls_key, serving.tls_cert, serving.client_ca)
    settings = ServingSettings(lanes, serving.grpc, serving.http, serving.metrics)
    request_mb = serving.request_mb or (EXPOSED_MB if guarded else settings.request_bytes // MIB)
    return ServingSettings(
        lanes=lanes,
        grpc=serving.grpc,
        http=serving.http,
        metrics=serving.metrics,
        request_bytes=request_mb * MIB,
        sandbox=serving.sandbox,
        tls=tls if guarded else None,
        guarded=guarded,
        keys=serving.key_file or "",
        principals=dict(serving.principals),
        limits=_limits(serving.limits, BEYOND_LOOPBACK if guarded else ClientLimits()),
    )


def _limits(given: ClientLimits, default: ClientLimits) -> Limits:
    """What was given, else the default."""
    return Limits(
        requests_per_s=_first(given.requests_per_s, default.requests_per_s),
        burst=int(_first(given.burst, default.burst if given.requests_per_s is None else None)),
        concurrent=int(_first(given.concurrent, default.concurrent)),
        connections=int(_first(given.connections, default.connections)),
    )


def _first(given: float | None, default: float | None) -> float:
    return (default or 0) if given is None else given


def _all_loopback(serving: LocalServing, ways: tuple[str, ...]) -> bool:
    return all(is_loopback(getattr(serving, way)) for way in ways)


def _who(serving: LocalServing, ways: tuple[str, ...]) -> str:
    """The first port of those that are at fault, with its address."""
    way = next((way for way in ways if not is_loopback(getattr(serving, way))), ways[0])
    return f"{way} at {getattr(serving, way)}"
