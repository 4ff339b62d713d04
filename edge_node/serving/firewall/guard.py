"""The one gate of requests: who asks, whether they may, and whether it is too much. Called before a body is read.

    with guard.admit(asking, "infer") as caller:
        ...

Where nothing is asked of clients (loopback, no limits) it costs next to nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType

from edge_node.serving.firewall.bucket import Rate
from edge_node.serving.firewall.clients import Client, ClientLimits, Clients
from edge_node.serving.firewall.holding import Holding
from edge_node.serving.firewall.keys import Key, bearer, whose
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.settings import Limits, ServingSettings

HOW = "send a key as 'authorization: Bearer ...' (edge-node key create makes one)"


@dataclass(frozen=True, slots=True)
class Asking:
    """What is known of whoever asks: the address, the name of a certificate, the header `authorization`."""

    address: str
    certificate: str = ""
    authorization: str = ""


class Admitted:
    """A request that may be read; it counts as in work until the block ends."""

    __slots__ = ("_client", "caller")

    def __init__(self, caller: Caller, client: Client | None) -> None:
        self.caller = caller
        self._client = client

    def __enter__(self) -> Caller:
        return self.caller

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            Clients.leave(self._client)


@dataclass(frozen=True)
class Rules:
    """What a port asks of its clients: `keys` are those that count now, `principals` the scopes of certificates."""

    named: bool = False
    keys: Callable[[], tuple[Key, ...]] = lambda: ()
    principals: Mapping[str, tuple[str, ...]] | None = None


class Guard:
    """Of one port. `clients` is None where there are no limits; refusals are told at once where `holding` is None."""

    def __init__(
        self, rules: Rules | None = None, clients: Clients | None = None, holding: Holding | None = None
    ) -> None:
        self._rules = rules or Rules()
        self._clients = clients
        self._holding = holding
        self.asks_for_keys = self._rules.named
        """whether the header `authorization` is looked at"""

    def admit(self, asking: Asking, scope: str) -> Admitted:
        """Let a request be read.

        Raises:
            ServingError: UNKNOWN_CALLER, DENIED, or BUSY with the time to come back.
        """
        now = time.monotonic()
        caller = self._caller(asking, scope, now)
        if scope and scope not in caller.scopes:
            raise ServingError(Kind.DENIED, f"this needs the scope '{scope}'", cause="scope")
        if self._clients is None:
            return Admitted(caller, None)
        return Admitted(caller, self._clients.enter(caller.name or caller.address, now))

    def charge(self, caller: Caller) -> None:
        """One more request of a stream that was admitted. Raises `ServingError` (BUSY)."""
        if self._clients is not None:
            self._clients.charge(caller.name or caller.address, time.monotonic())

    async def hold(self, error: ServingError) -> None:
        """Return when a refusal may be told."""
        if self._holding is not None:
            await self._holding.hold(error)

    def _caller(self, asking: Asking, scope: str, now: float) -> Caller:
        rules = self._rules
        if not rules.named:
            return anybody(asking.address, asking.certificate)
        text = bearer(asking.authorization)
        key = None if text is None else whose(rules.keys(), text)
        if key is not None:
            return Caller(asking.address, f"key:{key.name}", frozenset(key.scopes))
        if text is None and asking.certificate and rules.principals is not None:
            return Caller(asking.address, asking.certificate, self._scopes(asking.certificate))
        if scope or asking.authorization:
            self._charge_stranger(asking.address, now)
            raise ServingError(Kind.UNKNOWN_CALLER, "unknown key" if asking.authorization else HOW)
        return Caller(asking.address, "", frozenset())

    def _scopes(self, certificate: str) -> frozenset[str]:
        """An authority's certificate may infer unless it is said otherwise."""
        return frozenset((self._rules.principals or {}).get(certificate, ("infer",)))

    def _charge_stranger(self, address: str, now: float) -> None:
        """Whoever guesses is slowed down, by address."""
        if self._clients is not None:
            self._clients.charge(address, now)


class Firewall:
    """The guards of a serving process: ports that others reach ask for names, and clients' limits are of all ports."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._clients = Clients(limits_of(settings.limits))
        self._holding = Holding()
        principals = settings.principals if settings.tls is not None and settings.tls.clients else None
        self._keys: tuple[Key, ...] = ()
        self._rules = Rules(bool(settings.keys) or principals is not None, lambda: self._keys, principals)

    def told(self, keys: tuple[Key, ...]) -> None:
        """These keys count from now on."""
        self._keys = keys

    def guard(self, way: str) -> Guard:
        """Of a port: "grpc", "http" or "metrics"."""
        rules = self._rules if way in self._settings.guarded else None
        if self._settings.limits == Limits():
            return Guard(rules)
        return Guard(rules, self._clients, self._holding)


def limits_of(limits: Limits) -> ClientLimits:
    """As `Clients` takes them."""
    burst = limits.burst or max(1, int(2 * limits.requests_per_s))
    rate = Rate(limits.requests_per_s, burst) if limits.requests_per_s else None
    return ClientLimits(rate, limits.concurrent)


@lru_cache(1024)
def anybody(address: str, certificate: str) -> Caller:
    """Whoever asks where nothing is asked of clients."""
    return Caller(address, certificate)
