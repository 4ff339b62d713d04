"""What is known of a rollout's nodes now: rows of nodes become views. Pure but for the cache of decoded rows."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import msgspec

from coordinator.fleet.presence import Presence
from coordinator.fleet.records import Node
from coordinator.fleet.store import Transaction
from coordinator.rollouts.plausible import one_line, plausible_shadow, plausible_trial
from coordinator.rollouts.records import Truth, View
from protos.evidence import ReportedShadow, ReportedTrial
from protos.identity import NodeId

Said = TypeVar("Said", ReportedTrial | None, ReportedShadow | None)


def view_of(node: Node, deployment: str) -> View:
    """What the node's newest report says of a deployment."""
    reported = node.reported
    entry = next((one for one in reported.deployments if one.name == deployment), None) if reported else None
    known = View(
        node=node.id,
        site=node.site,
        labels=node.labels,
        online=node.connection.presence is Presence.ONLINE,
        timezone=node.facts.timezone,
        heard_at=node.last_seen,
    )
    if entry is None:
        return known
    return replace(
        known,
        digest=entry.digest,
        phase=entry.phase,
        reason=one_line(entry.reason),
        serving_version=entry.serving_version,
        trial=_with_one_line(plausible_trial(entry.trial)),
        shadow=_with_one_line(plausible_shadow(entry.shadow)),
        p95_ms=entry.proof.p95_ms if entry.proof else None,
    )


def _with_one_line(said: Said) -> Said:
    return said if said is None or not said.reason else msgspec.structs.replace(said, reason=one_line(said.reason))


class SeenNodes:
    """All nodes that are not revoked, decoded once for every change of theirs. Of one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[NodeId, tuple[int, Node]] = {}

    def read(self, tx: Transaction) -> Mapping[NodeId, Node]:
        """As they are in this transaction."""
        revoked = {revocation.principal for revocation in tx.revoked.all()}
        counts = {node: count for node, count in tx.nodes.changes().items() if node not in revoked}
        changed = [node for node, count in counts.items() if node not in self._known or self._known[node][0] != count]
        for node in tx.nodes.of(changed):
            self._known[node.id] = counts[node.id], node
        for gone in self._known.keys() - counts.keys():
            del self._known[gone]
        return {node: known[1] for node, known in self._known.items()}


class SeenViews:
    """Views of nodes for one deployment, made once for every change of theirs: a fleet is looked at often."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._known: dict[NodeId, tuple[Node, View]] = {}

    def of(self, nodes: Iterable[Node], truths: Iterable[Truth] = ()) -> dict[NodeId, View]:
        """What is known of these nodes; as `views_of`."""
        known = self._known
        self._known = {}
        for node in nodes:
            made = known.get(node.id)
            self._known[node.id] = made if made and made[0] is node else (node, view_of(node, self._deployment))
        return _labelled({node: view for node, (_, view) in self._known.items()}, truths)


def views_of(nodes: Iterable[Node], deployment: str, truths: Iterable[Truth] = ()) -> dict[NodeId, View]:
    """What is known of these nodes, by their ids; `truths` are labelled answers of the new version."""
    return _labelled({node.id: view_of(node, deployment) for node in nodes}, truths)


def _labelled(views: dict[NodeId, View], truths: Iterable[Truth]) -> dict[NodeId, View]:
    for truth in truths:
        if truth.node in views:
            view = views[truth.node]
            views[truth.node] = replace(view, truths=(*view.truths, truth))
    return views
