"""Nodes: what they say of themselves, and what an administrator does with them.

Identity is an id that is issued at enrollment (`enrollment`) and never changes. Name, site and labels are data: the
name and site that the coordinator has win over what a node says of itself, and so do the labels of its join token;
its other labels and its facts are taken over.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from coordinator.errors import BadInput, Conflict, Refused
from coordinator.fleet.desired import NONE, compile_node
from coordinator.fleet.documents import changes, checked, issue
from coordinator.fleet.egress_policy import policy_changes
from coordinator.fleet.naming import check_free, find_node
from coordinator.fleet.presence import Presence
from coordinator.fleet.quota import ACTS_AN_HOUR, Quota
from coordinator.fleet.records import Issued, Node, Revocation
from coordinator.fleet.removal import remove_node
from coordinator.fleet.retained import place_filter
from coordinator.fleet.selectors import check_label, parse_selector
from coordinator.fleet.store import Store, Transaction
from coordinator.fleet.traffic import Traffic
from protos.errors import ContractError
from protos.identity import NodeId, checked_name
from protos.reported import Facts
from protos.topics import Topics

OWN_LABELS = frozenset({"site", "name"})
"""Selectors see these beside a node's labels, so no label may be called that."""
MAX_LABELS = 64


@dataclass(frozen=True)
class Registration:
    """What a node says of itself."""

    node: NodeId
    name: str
    site: str
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class NodeDetails:
    """A node with its newest desired document, the end of its certificate, since when it is refused, and its bytes."""

    node: Node
    issued: Issued | None
    certificate_ends: datetime | None = None
    revoked_at: datetime | None = None
    traffic: Traffic | None = None


class NodeService:
    """Every method may be called from any thread.

    Args:
        store: where nodes are kept.
        topics: the topics of the broker.
        now: the clock.
        on_changed: called with the ids of nodes whose documents or retained topics want attention.
    """

    def __init__(
        self,
        store: Store,
        topics: Topics,
        now: Callable[[], datetime],
        on_changed: Callable[[Collection[NodeId]], None],
    ) -> None:
        self._store = store
        self._topics = topics
        self._now = now
        self._on_changed = on_changed
        self._acts = Quota(ACTS_AN_HOUR)

    def register(self, registration: Registration) -> Node:
        """The node as it is known from now on.

        Raises:
            BadInput: a name or a label breaks the rules.
            Refused: the node was deleted here.
            Conflict: another node has that name.
        """
        check_registration(registration)
        with self._store.write() as tx:
            node = self._admitted(tx, registration)
            known = tx.nodes.get(node.id)
            for act in policy_changes(known, node.facts) if known is not None else ():
                if self._acts.take(act.actor, self._now()):
                    tx.audit.append(act, self._now())
            check_free(node, tx.nodes.named(node.site, node.name))
            tx.nodes.put(node)
            changed = self._issue(tx, node)
        self._on_changed(changed)
        return node

    def list(self, selector: str) -> tuple[NodeDetails, ...]:
        """The nodes that a selector matches, by site and name.

        Raises:
            BadInput: not a selector.
        """
        wanted = parse_selector(selector)
        with self._store.read() as tx:
            issued = tx.documents.all()
            ends = {one.principal: one.not_after for one in tx.certificates.all()}
            revoked = {one.principal: one.at for one in tx.revoked.all()}
            traffic = tx.traffic.all()
            found = (node for node in tx.nodes.all() if wanted.matches(node.selectable))
            return tuple(
                NodeDetails(node, issued.get(node.id), ends.get(node.id), revoked.get(node.id), traffic.get(node.id))
                for node in found
            )

    def show(self, reference: str) -> NodeDetails:
        """One node, by id, `site/name` or name.

        Raises:
            NotFound: no node is called that.
            BadInput: several are.
        """
        with self._store.read() as tx:
            node = find_node(reference, tx.nodes.all())
            return _details(tx, node)

    def rename(self, reference: str, name: str, site: str) -> NodeDetails:
        """Call a node otherwise, and move it where a site is given.

        Raises:
            NotFound: no node is called that.
            BadInput: several are, or the new name is none.
            Conflict: another node has that name, or deployments clash at the new one.
        """
        with self._store.write() as tx:
            node = find_node(reference, tx.nodes.all())
            renamed = replace(node, name=_name(name, "name"), site=_name(site, "site") if site else node.site)
            check_free(renamed, tx.nodes.named(renamed.site, renamed.name))
            if renamed.full_name != node.full_name:
                tx.retained.add(node.id, (place_filter(node.site, node.name, self._topics),))
            _check_no_new_clash(tx, node, renamed)
            tx.nodes.put(renamed)
            changed = self._issue(tx, renamed)
            details = _details(tx, renamed)
        self._on_changed(changed)
        return details

    def delete(self, reference: str, *, force: bool = False, by: str = "") -> tuple[NodeId, int]:
        """Forget a node and refuse it from now on; its id, and how many retained topics are to be cleared.

        Raises:
            NotFound: no node is called that.
            BadInput: several are.
            Conflict: it is online, and `force` is not given.
        """
        with self._store.write() as tx:
            node = find_node(reference, tx.nodes.all())
            _check_may_go(node, force=force)
            now = self._now()
            cleared = remove_node(tx, node, self._topics, now, Revocation(node.id, now, by, "deleted"))
        self._on_changed((node.id,))
        return node.id, cleared

    def _issue(self, tx: Transaction, node: Node) -> tuple[NodeId, ...]:
        changed = checked(changes(tx, (node,), tx.deployments.all(), self._now()))
        return issue(tx, changed, self._topics)

    def _admitted(self, tx: Transaction, registration: Registration) -> Node:
        known, token = tx.nodes.get(registration.node), tx.join_tokens.of_node(registration.node)
        labels = {**registration.labels, **(token.labels if token else {})}
        if known is not None:
            return replace(known, labels=labels, facts=registration.facts)
        if tx.retained.is_forgotten(registration.node):
            raise Refused(f"node {registration.node} was deleted on this coordinator: enroll the device anew")
        # An id that is unknown here was issued before this database was restored: it stays.
        return Node(registration.node, registration.site, registration.name, labels, registration.facts, self._now())


def check_registration(registration: Registration) -> None:
    """What a node says of itself keeps the rules.

    Raises:
        BadInput: its name, its site or a label does not.
    """
    checked_place(registration.site, registration.name)
    checked_labels(registration.labels)


def checked_place(site: str, name: str | None) -> None:
    """A site, and a name where there is one.

    Raises:
        BadInput: one of them is no name.
    """
    _name(site, "site")
    if name is not None:
        _name(name, "name")


def checked_labels(labels: Mapping[str, str]) -> None:
    """Labels for a node.

    Raises:
        BadInput: one breaks the rules, or there are too many.
    """
    if len(labels) > MAX_LABELS:
        raise BadInput(f"{len(labels)} labels; a node has at most {MAX_LABELS}")
    for key, value in labels.items():
        check_label(key, value)
        if key in OWN_LABELS:
            raise BadInput(f"a label cannot be called {key!r}: selectors see the node's own {key} under that key")


def _details(tx: Transaction, node: Node) -> NodeDetails:
    certificate, revocation = tx.certificates.get(node.id), tx.revoked.get(node.id)
    ends = certificate.not_after if certificate else None
    revoked_at = revocation.at if revocation else None
    return NodeDetails(node, tx.documents.get(node.id), ends, revoked_at, tx.traffic.get(node.id))


def _name(text: str, what: str) -> str:
    try:
        return checked_name(text, what)
    except ContractError as error:
        raise BadInput(str(error)) from None


def _check_may_go(node: Node, *, force: bool) -> None:
    if node.connection.presence is Presence.ONLINE and not force:
        raise Conflict(
            f"node {node.full_name} is online: stop its agent first, or delete it with --force (it then goes on "
            "working, and its results are not taken any more)"
        )


def _check_no_new_clash(tx: Transaction, before: Node, after: Node) -> None:
    deployments = tx.deployments.all()
    overrides = tx.overrides.of((before.id,)).get(before.id, NONE)
    known = compile_node(before, deployments, overrides).refused
    for deployment, reason in compile_node(after, deployments, overrides).refused.items():
        if deployment not in known:
            raise Conflict(f"as {after.full_name} the node would be selected by {deployment!r}, but {reason}")
