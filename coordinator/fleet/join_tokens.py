"""Join tokens: made for a site, listed, deleted. Of the secret only its digest is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coordinator.errors import BadInput, Conflict, NotFound
from coordinator.fleet.naming import name_taken
from coordinator.fleet.nodes import checked_labels, checked_place
from coordinator.fleet.records import JoinTokenRecord
from coordinator.fleet.store import Store, Transaction
from protos.identity import NodeId
from protos.join_token import SECRET_BYTES, JoinToken

DEFAULT_TTL = timedelta(minutes=10)
MAX_TTL = timedelta(days=30)
MAX_COUNT = 1000


@dataclass(frozen=True)
class Place:
    """What a token's node will be: its site, its name where one is bound, and labels."""

    site: str
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CreatedTokens:
    """The lines to paste, and until when they work."""

    lines: tuple[str, ...]
    expires_at: datetime


class JoinTokens:
    """Every method may be called from any thread.

    Args:
        store: where they are kept.
        fingerprint: SHA-256 of the authority's certificate.
        addresses: host:port of enrollment, as devices reach it.
        now: the clock.
        random: so many random bytes.
    """

    def __init__(
        self,
        store: Store,
        fingerprint: bytes,
        addresses: Callable[[], tuple[str, ...]],
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._addresses = addresses
        self._now = now
        self._random = random

    def create(self, place: Place, by: str, *, ttl: timedelta = DEFAULT_TTL, count: int = 1) -> CreatedTokens:
        """Make tokens for a place.

        Raises:
            BadInput: the place breaks the rules, or lifetime or count are out of bounds.
            Conflict: another node has the name.
        """
        checked_place(place.site, place.name)
        checked_labels(place.labels)
        _check_count(place, count)
        with self._store.write() as tx:
            holder = tx.nodes.named(place.site, place.name) if place.name else None
            if holder is not None:
                raise name_taken(holder)
            return self.issue(tx, place, by, ttl=ttl, count=count)

    def issue(
        self,
        tx: Transaction,
        place: Place,
        by: str,
        *,
        ttl: timedelta,
        count: int = 1,
        replaces: NodeId | None = None,
    ) -> CreatedTokens:
        """Make tokens in a transaction that is under way.

        Raises:
            BadInput: the lifetime is out of bounds.
        """
        if not timedelta(0) < ttl <= MAX_TTL:
            raise BadInput(f"a join token lives for at most {MAX_TTL.days} days, and more than nothing")
        now = self._now()
        addresses = self._addresses()
        made = [JoinToken(self._random(SECRET_BYTES), self._fingerprint, addresses) for _ in range(count)]
        for token in made:
            tx.join_tokens.add(
                JoinTokenRecord(token.digest, place.site, place.name, place.labels, replaces, by, now, now + ttl)
            )
        return CreatedTokens(tuple(token.text for token in made), now + ttl)

    def list(self) -> tuple[JoinTokenRecord, ...]:
        """All tokens, the newest first."""
        with self._store.read() as tx:
            return tx.join_tokens.all()

    def delete(self, token_id: str) -> None:
        """Delete a token that nobody used.

        Raises:
            NotFound: there is none.
            Conflict: a node used it.
        """
        with self._store.write() as tx:
            found = next((token for token in tx.join_tokens.all() if token.id == token_id), None)
            if found is None:
                raise NotFound(f"no join token {token_id!r}: see edgectl node token list")
            if found.node is not None:
                raise Conflict(f"join token {token_id} was used by node {found.node}: edgectl node revoke shuts it out")
            tx.join_tokens.remove(found.digest)


def _check_count(place: Place, count: int) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise BadInput(f"{count} join tokens: between 1 and {MAX_COUNT} are made at once")
    if count > 1 and place.name:
        raise BadInput(f"{count} join tokens for one name: give no name, each device says what it is called")
