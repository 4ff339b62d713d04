"""What each client has asked lately, and has in work now, held against its limits. Pure: the time is an argument.

A client is the name of a key or a certificate, else an address. Few clients are remembered: whoever has nothing in work
and a full bucket is forgotten, and of more than `MOST` strangers the rest share what is left.
"""

from dataclasses import dataclass

from edge_node.serving.firewall.bucket import Bucket, Rate, full, is_full, take
from edge_node.serving.inference import Kind, ServingError

MOST = 4096
SOON_S = 0.1
"""when to come back where a request of one's own has to end first"""


@dataclass(frozen=True)
class ClientLimits:
    """Of one client; None and 0 are no limit. `concurrent` are requests and streams at the same time."""

    rate: Rate | None = None
    concurrent: int = 0


@dataclass(slots=True)
class Client:
    """One client."""

    bucket: Bucket | None
    in_work: int = 0


class Clients:
    """All clients of a serving process."""

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._clients: dict[str, Client] = {}

    def enter(self, name: str, now: float) -> Client:
        """A request begins; `leave` ends it.

        Raises:
            ServingError: BUSY: too many at the same time, or too many in a short time.
        """
        client = self._client(name, now)
        most = self._limits.concurrent
        if most and client.in_work >= most:
            raise ServingError(Kind.BUSY, f"{most} requests at the same time are enough", SOON_S, "concurrent")
        self._take(client, now)
        client.in_work += 1
        return client

    def charge(self, name: str, now: float) -> None:
        """One more request of something that has entered, or a refusal. Raises `ServingError` (BUSY)."""
        if self._limits.rate is not None:
            self._take(self._client(name, now), now)

    def allows(self, name: str, now: float) -> bool:
        """Whether there is a token; it is taken."""
        try:
            self.charge(name, now)
        except ServingError:
            return False
        return True

    @staticmethod
    def leave(client: Client) -> None:
        """A request has ended."""
        client.in_work -= 1

    def __len__(self) -> int:
        return len(self._clients)

    def _take(self, client: Client, now: float) -> None:
        rate = self._limits.rate
        if rate is None or client.bucket is None:
            return
        wait_s = take(client.bucket, rate, now)
        if wait_s:
            raise ServingError(Kind.BUSY, f"{rate.per_s:g} requests a second are enough", wait_s, "rate")

    def _client(self, name: str, now: float) -> Client:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= MOST:
                self._forget(now)
                name = name if len(self._clients) < MOST else ""
            rate = self._limits.rate
            client = self._clients.setdefault(name, Client(None if rate is None else full(rate, now)))
        return client

    def _forget(self, now: float) -> None:
        rate = self._limits.rate
        self._clients = {
            name: client
            for name, client in self._clients.items()
            if client.in_work
            or (rate is not None and client.bucket is not None and not is_full(client.bucket, rate, now))
        }
