"""Certificates for people, programs and brokers; and taking an identity away, also a node's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.authority.certificates import CLIENT, SERVER, Authority, Certificate
from coordinator.authority.csr import requested_key
from coordinator.errors import BadInput, Conflict, NotFound
from coordinator.fleet.join_tokens import CreatedTokens, JoinTokens, Place
from coordinator.fleet.naming import find_node
from coordinator.fleet.presence import after
from coordinator.fleet.records import IssuedCertificate, Node, Revocation
from coordinator.fleet.retained import planted_live_topics
from coordinator.fleet.store import Store, Transaction
from protos.errors import ContractError
from protos.identity import NodeId, is_id
from protos.principal import BROKER_NAME, RESERVED_DOMAIN, Principal, Role, principal_of
from protos.topics import Topics

DEFAULT_DAYS = 365
MAX_DAYS = 3650
MAX_REASON = 200
MAX_NAMES = 32


@dataclass(frozen=True)
class CredentialDetails:
    """The newest certificate of a principal, and since when it is refused."""

    issued: IssuedCertificate
    revoked_at: datetime | None


class CredentialService:
    """Every method may be called from any thread; `by` is who asks.

    Args:
        store: where certificates and the deny-list are kept.
        authority: who signs.
        tokens: makes the token for hardware that replaces other.
        topics: the topics of the broker.
        now: the clock.
        on_revoked: called with a principal's common name after it was revoked.
    """

    def __init__(
        self,
        store: Store,
        authority: Authority,
        tokens: JoinTokens,
        topics: Topics,
        now: Callable[[], datetime],
        on_revoked: Callable[[str], None],
    ) -> None:
        self._store = store
        self._authority = authority
        self._tokens = tokens
        self._topics = topics
        self._now = now
        self._on_revoked = on_revoked

    def issue(self, role: str, name: str, csr: bytes, days: int = 0) -> Certificate:
        """A certificate for a person or a program.

        Raises:
            BadInput: role, name, request or lifetime is none.
            Conflict: the principal was revoked once.
        """
        principal, key = _named(role, name), requested_key(csr)
        with self._store.write() as tx:
            if tx.revoked.get(principal.common_name) is not None:
                raise Conflict(f"{principal.common_name} was revoked, for good: choose another name")
            issued = self._authority.issue(key, principal.common_name, CLIENT, _lifetime(days), self._now())
            tx.certificates.put(self.record(issued))
        return issued

    def issue_for_broker(self, names: Iterable[str], csr: bytes, days: int = 0) -> Certificate:
        """A server's certificate for a broker that is not the coordinator's own.

        Raises:
            BadInput: a name, the request or the lifetime is none.
        """
        wanted = tuple(names)
        if not 1 <= len(wanted) <= MAX_NAMES:
            raise BadInput(f"{len(wanted)} names for a broker: give 1 to {MAX_NAMES} host names or addresses")
        if reserved := [name for name in wanted if name.lower().rpartition(".")[2] == RESERVED_DOMAIN]:
            raise BadInput(f"{reserved[0]!r} is not a broker's to have: give the host names that subscribers dial")
        # its common name is no principal: it can serve, and be nobody; not even the coordinator
        names = (BROKER_NAME, *wanted)
        return self._authority.issue(requested_key(csr), BROKER_NAME, SERVER, _lifetime(days), self._now(), names)

    def remember(self, certificate: Certificate) -> None:
        """List a certificate that was issued elsewhere (the first administrator's), where it is not known yet."""
        with self._store.write() as tx:
            if tx.certificates.get(certificate.common_name) is None:
                tx.certificates.put(self.record(certificate))

    def list(self) -> tuple[CredentialDetails, ...]:
        """All people and programs, by principal."""
        with self._store.read() as tx:
            revoked = {revocation.principal: revocation.at for revocation in tx.revoked.all()}
            return tuple(
                CredentialDetails(issued, revoked.get(issued.principal))
                for issued in tx.certificates.all()
                if not is_id(issued.principal)
            )

    def revoke(self, common_name: str, by: str, reason: str = "") -> None:
        """Refuse a person or a program from now on.

        Raises:
            BadInput: not a principal, or the reason is too long.
            NotFound: nobody has such a credential.
            Conflict: it is who asks.
        """
        principal = _person(common_name)
        if common_name == by:
            raise Conflict(f"{common_name} cannot revoke itself: another administrator does that")
        with self._store.write() as tx:
            if tx.certificates.get(principal.common_name) is None:
                raise NotFound(f"nobody has a credential {common_name!r}: see edgectl credential list")
            tx.revoked.add(self._revocation(common_name, by, reason))
        self._on_revoked(common_name)

    def revoke_node(self, reference: str, by: str, reason: str = "") -> NodeId:
        """Refuse a node from now on; its id.

        Raises:
            NotFound: no node is called that. An id may also be one that this database does not know.
            BadInput: several are, or the reason is too long.
        """
        with self._store.write() as tx:
            node = NodeId(reference) if is_id(reference) else find_node(reference, tx.nodes.all()).id
            tx.revoked.add(self._revocation(node, by, reason))
            _sent_away(tx, node, self._topics)
        self._on_revoked(node)
        return node

    def replace_node(self, reference: str, by: str, ttl: timedelta) -> CreatedTokens:
        """Refuse a node from now on, and make a token for the hardware that takes its place.

        Raises:
            NotFound: no node is called that.
            BadInput: several are, or the lifetime of the token is out of bounds.
        """
        with self._store.write() as tx:
            node = find_node(reference, tx.nodes.all())
            tx.revoked.add(self._revocation(node.id, by, "replaced"))
            _sent_away(tx, node.id, self._topics)
            _withdraw(tx, node)
            place = Place(node.site, node.name, node.labels)
            created = self._tokens.issue(tx, place, by, ttl=ttl, replaces=node.id)
        self._on_revoked(node.id)
        return created

    def record(self, issued: Certificate) -> IssuedCertificate:
        """What is kept of a certificate."""
        return IssuedCertificate(
            issued.common_name, issued.serial, issued.key_digest, issued.not_after, self._now(), issued.pem
        )

    def _revocation(self, principal: str, by: str, reason: str) -> Revocation:
        if len(reason) > MAX_REASON or "\n" in reason:
            raise BadInput(f"the reason has {len(reason)} characters: one line of at most {MAX_REASON} is kept")
        return Revocation(principal, self._now(), by, reason)


def _sent_away(tx: Transaction, node: NodeId, topics: Topics) -> None:
    """The broker ends its connection without its will: that it is offline is known here. What it left is cleared."""
    known = tx.nodes.get(node)
    if known is not None:
        offline = after(known.connection, "offline", known.connection.id)
        tx.nodes.put(replace(known, connection=offline))
        tx.retained.add(node, planted_live_topics(node, known.site, known.name, topics))


def _withdraw(tx: Transaction, node: Node) -> None:
    """Tokens that were made before for the same swap, and not used, work no longer."""
    for token in tx.join_tokens.all():
        if token.replaces == node.id and token.used_at is None:
            tx.join_tokens.remove(token.digest)


def _named(role: str, name: str) -> Principal:
    return _person(f"{role}:{name}")


def _person(common_name: str) -> Principal:
    try:
        principal = principal_of(common_name)
    except ContractError as error:
        raise BadInput(str(error)) from None
    if principal.role in (Role.NODE, Role.COORDINATOR):
        raise BadInput(f"{common_name} is not a person or a program: for a node, edgectl node revoke")
    return principal


def _lifetime(days: int) -> timedelta:
    if not 0 <= days <= MAX_DAYS:
        raise BadInput(f"{days} days: a credential lives 1 to {MAX_DAYS} days")
    return timedelta(days=days or DEFAULT_DAYS)
