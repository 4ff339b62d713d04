"""Enrollment: a device becomes a node by a join token, and stays one by proof of its key.

The identity is decided here: a fresh id, the site and the name of the token. Of the device's request only the public
key is taken, and what it says of itself where the token does not.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from coordinator.audit.acting import about, repeated
from coordinator.authority.certificates import CLIENT, Authority, Certificate, described, proves, read_certificate
from coordinator.authority.csr import requested_key
from coordinator.authority.keys import PublicKey, key_digest
from coordinator.errors import BadInput, Refused
from coordinator.fleet.challenge import check_challenge
from coordinator.fleet.documents import changes, checked, issue
from coordinator.fleet.naming import check_free
from coordinator.fleet.nodes import Registration, check_registration
from coordinator.fleet.quota import Quota
from coordinator.fleet.records import IssuedCertificate, JoinTokenRecord, Node, Revocation
from coordinator.fleet.removal import remove_node
from coordinator.fleet.store import Store, Transaction
from coordinator.fleet.token_use import Use, judge
from protos.errors import ContractError
from protos.identity import NodeId, node_id
from protos.join_token import SECRET_BYTES, secret_digest
from protos.principal import Role, principal_of
from protos.reported import Facts
from protos.topics import Topics

FRESH = timedelta(minutes=1)
"""A certificate younger than this is not renewed: whoever asks in a loop gets it again, and no entry in the log."""
RENEWALS_AN_HOUR = 12
"""of one node: who renews with another key each time fills neither the log nor the authority's day"""
MOST_NODES = 1_000_000
"""that renew in one hour: only who has proved a node's key counts"""


@dataclass(frozen=True)
class Application:
    """What a device asks for: a certificate for a key, with a token's secret."""

    secret: bytes = field(repr=False)
    csr: bytes
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Renewal:
    """What a node asks for: a certificate for a key, by proof of the key that it has."""

    certificate: bytes
    csr: bytes
    challenge: bytes
    signature: bytes


@dataclass(frozen=True)
class Identity:
    """A node's id and certificate; `node` is None where this database does not know it (any more)."""

    id: NodeId
    certificate: bytes
    node: Node | None
    replaces: NodeId | None = None
    """the node whose place it took"""
    comes_back: bool = False
    """its certificate had ended, so that brokers do not let it in until they hear of it"""


class EnrollmentService:
    """Every method may be called from any thread.

    Args:
        store: where nodes and tokens are kept.
        authority: who signs.
        topics: the topics of the broker.
        lifetime: of a node's certificate.
        grace: so long after its end a certificate can be renewed.
        secret: of the challenges.
        now: the clock.
        random: so many random bytes.
        on_changed: called with the ids of nodes whose documents or retained topics want attention.
    """

    def __init__(
        self,
        store: Store,
        authority: Authority,
        topics: Topics,
        lifetime: timedelta,
        grace: timedelta,
        secret: bytes,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        on_changed: Callable[[Collection[NodeId]], None],
    ) -> None:
        self._store = store
        self._authority = authority
        self._topics = topics
        self._lifetime = lifetime
        self._grace = grace
        self._secret = secret
        self._now = now
        self._random = random
        self._on_changed = on_changed
        self._renewals = Quota(RENEWALS_AN_HOUR, MOST_NODES)

    def enroll(self, application: Application) -> Identity:
        """Use up a token.

        Raises:
            BadInput: the request for a certificate, a name or a label breaks the rules.
            Refused: the token is unknown, used by another key, too old, or its node was revoked.
            Conflict: another node has the name.
        """
        key = requested_key(application.csr)
        digest = _digest(application.secret)
        with self._store.read() as tx:  # whoever guesses does not even hold up writers
            judge(tx.join_tokens.get(digest), _issued(tx, digest), key_digest(key), self._now())
        with self._store.write() as tx:
            token = tx.join_tokens.get(digest)
            if judge(token, _issued(tx, digest), key_digest(key), self._now()) is Use.AGAIN:
                return _same_again(tx, token)
            assert token is not None  # judge refuses what is unknown
            identity, changed = self._joined(tx, token, application, key)
        self._on_changed(changed)
        return identity

    def renew(self, renewal: Renewal) -> Identity:
        """A new certificate for a node that proves its key.

        Raises:
            BadInput: a certificate or the request for one is none.
            Refused: the proof does not hold, it comes too late or too often, or the node was revoked.
        """
        check_challenge(renewal.challenge, self._secret, self._now())
        key = requested_key(renewal.csr)
        held = read_certificate(renewal.certificate)
        node, ended = self._proven(held, renewal)
        if self._now() > ended + self._grace:
            raise Refused(
                f"the certificate ended at {ended:%Y-%m-%d}, and the {self._grace.days} days of "
                "grace are over: enroll the device anew (edgectl node replace, edge-node enroll)"
            )
        with self._store.write() as tx:
            _check_admitted(tx, node)
            known = tx.certificates.get(node)
            if known is not None and self._is_fresh(known, key):
                repeated()
                return Identity(node, known.pem, tx.nodes.get(node))
            self._check_not_too_often(node)
            comes_back = known is not None and known.not_after <= self._now()
            certificate = self._certified(tx, node, key)
            about(node, serial=certificate.serial)
            return Identity(node, certificate.pem, tx.nodes.get(node), comes_back=comes_back)

    def _is_fresh(self, known: IssuedCertificate, key: PublicKey) -> bool:
        """Whether a key has just got this certificate, and of today's authority."""
        is_young = timedelta(0) <= self._now() - known.issued_at < FRESH
        return is_young and known.key_digest == key_digest(key) and self._authority.issued(read_certificate(known.pem))

    def _check_not_too_often(self, node: NodeId) -> None:
        if not self._renewals.take(node, self._now()):
            raise Refused(
                f"node {node} renewed its certificate {RENEWALS_AN_HOUR} times within an hour: try again later"
            )

    def _joined(
        self, tx: Transaction, token: JoinTokenRecord, application: Application, key: PublicKey
    ) -> tuple[Identity, tuple[NodeId, ...]]:
        """A new node in the place that its token is for, and whose documents changed."""
        node = _placed(NodeId(node_id(self._random(16))), token, application, self._now())
        gone = self._cleared_place(tx, token)
        check_free(node, tx.nodes.named(node.site, node.name))
        if not tx.join_tokens.use(token.digest, node.id, self._now()):
            raise Refused("this join token was used by another device just now")
        tx.nodes.put(node)
        about(node.full_name, node_id=node.id, token_by=token.created_by, replaces=token.replaces or "")
        changed = checked(changes(tx, (node,), tx.deployments.all(), self._now()))
        certificate = self._certified(tx, node.id, key)
        return Identity(node.id, certificate.pem, node, token.replaces), (*gone, *issue(tx, changed, self._topics))

    def _cleared_place(self, tx: Transaction, token: JoinTokenRecord) -> tuple[NodeId, ...]:
        """The node whose place is taken goes, where it is still there."""
        old = tx.nodes.get(token.replaces) if token.replaces else None
        if old is None:
            return ()
        now = self._now()
        remove_node(tx, old, self._topics, now, Revocation(old.id, now, token.created_by, "replaced"))
        return (old.id,)

    def _certified(self, tx: Transaction, node: NodeId, key: PublicKey) -> Certificate:
        issued = self._authority.issue(key, node, CLIENT, self._lifetime, self._now())
        tx.certificates.put(
            IssuedCertificate(node, issued.serial, issued.key_digest, issued.not_after, self._now(), issued.pem)
        )
        return issued

    def _proven(self, held: x509.Certificate, renewal: Renewal) -> tuple[NodeId, datetime]:
        """Whose certificate it is and when it ends, after the caller has shown that it holds its key.

        One of a former authority proves nothing by its signature, also while that is trusted still: its key may have
        been stolen. Then the node's key must be the one that this coordinator has certified, whose end is known here.
        """
        name = held.subject.rfc4514_string().removeprefix("CN=")
        try:
            principal = principal_of(name)
        except ContractError:
            principal = None
        if principal is None or principal.role is not Role.NODE:
            raise Refused("only nodes renew their certificates: edgectl credential create makes others")
        if not proves(held, renewal.signature, renewal.challenge + renewal.csr):
            raise Refused("the signature does not prove the certificate's key")
        if self._authority.issued(held):
            return NodeId(principal.name), held.not_valid_after_utc
        return NodeId(principal.name), self._certified_until(principal.name, held)

    def _certified_until(self, node: str, held: x509.Certificate) -> datetime:
        with self._store.read() as tx:
            known = tx.certificates.get(node)
        if known is None or known.key_digest != described(held).key_digest:
            raise Refused("the certificate was not issued by this coordinator: enroll the device here")
        return known.not_after


def _digest(secret: bytes) -> str:
    if len(secret) != SECRET_BYTES:
        raise BadInput(f"a join token's secret has {SECRET_BYTES} bytes, not {len(secret)}")
    return secret_digest(secret)


def _issued(tx: Transaction, digest: str) -> IssuedCertificate | None:
    token = tx.join_tokens.get(digest)
    return tx.certificates.get(token.node) if token is not None and token.node else None


def _same_again(tx: Transaction, token: JoinTokenRecord | None) -> Identity:
    assert token is not None  # it was used, so it is known
    assert token.node is not None
    _check_admitted(tx, token.node)
    issued = tx.certificates.get(token.node)
    assert issued is not None  # its key was compared
    repeated()
    return Identity(token.node, issued.pem, tx.nodes.get(token.node), token.replaces)


def _check_admitted(tx: Transaction, node: NodeId) -> None:
    if tx.revoked.get(node) is not None or tx.retained.is_forgotten(node):
        raise Refused(f"node {node} was revoked on this coordinator: it needs a new join token")


def _placed(node: NodeId, token: JoinTokenRecord, application: Application, now: datetime) -> Node:
    labels = {**application.labels, **token.labels}
    registration = Registration(node, token.name or application.name, token.site, labels, application.facts)
    if not registration.name:
        raise BadInput("the join token binds no name, and the device says none: edge-node enroll TOKEN --name NAME")
    check_registration(registration)
    return Node(node, registration.site, registration.name, labels, registration.facts, now)
