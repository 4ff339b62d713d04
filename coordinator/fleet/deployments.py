"""Deployments: applied declaratively, listed, shown, deleted. Each change issues documents in its own transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from coordinator.errors import NotFound
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.applying import check_no_clash, wanted_of, with_applied
from coordinator.fleet.desired import NONE, compile_node, overridden, selected
from coordinator.fleet.documents import changes, checked, issue
from coordinator.fleet.explain import diff_of, downgrade_warning, warnings_for
from coordinator.fleet.fitting import check_egress, check_variant, misfits
from coordinator.fleet.progress import NodeProgress, progress_of
from coordinator.fleet.records import Applied, Node, Override
from coordinator.fleet.store import Store, Transaction
from protos.bundle import Manifest
from protos.deployment import Deployment, model_version
from protos.identity import NodeId
from protos.topics import Topics


class Outcome(StrEnum):
    """What applying a deployment does."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    ROLLOUT = "rollout"
    """nothing yet: a rollout moves it there, or would"""


@dataclass(frozen=True)
class Application:
    """What was applied, or would be: the documents of `nodes` change, `matched` are selected; both by full name."""

    outcome: Outcome
    diff: str
    nodes: tuple[str, ...]
    matched: tuple[str, ...]
    warnings: tuple[str, ...]
    rollout: str = ""
    """the rollout that moves it; empty of one that would be created"""
    strategy: str = ""
    """how the rollout goes, in one line"""


Permits = Callable[[Any, "Applied | None"], tuple[NodeId, ...]]
"""Asked in the transaction of a change (of which others see more than the fleet does), with the deployment as it was:
raises where it may not change now, and says whose documents have changed before."""


def permits_all(_tx: Transaction, _before: Applied | None) -> tuple[NodeId, ...]:
    """Nothing is in the way."""
    return ()


@dataclass(frozen=True)
class DeploymentDetails:
    """A deployment, and how far each node that it selects has come."""

    applied: Applied
    nodes: tuple[NodeProgress, ...]


class DeploymentService:
    """Every method may be called from any thread; the arguments are those of `NodeService`, and `manifest_of`: the
    `model.toml` of a model's version.
    """

    def __init__(
        self,
        store: Store,
        topics: Topics,
        now: Callable[[], datetime],
        on_changed: Callable[[Collection[NodeId]], None],
        manifest_of: Callable[[str, int], Manifest],
    ) -> None:
        self._store = store
        self._topics = topics
        self._now = now
        self._on_changed = on_changed
        self._manifest_of = manifest_of

    def apply(self, spec: Deployment, *, dry_run: bool, permits: Permits = permits_all) -> Application:
        """Make the deployment what the specification says; with `dry_run` only tell what would change.

        Raises:
            BadInput: the selector is none.
            NotFound: there is no such model version.
            Conflict: a pipeline's name is taken on a node.
            Refused: the bundle has no such variant, its raw outputs are not declared, or a node's document would
                grow beyond a message.
        """
        manifest = self._manifest_of(*model_version(spec.model))
        check_variant(spec, manifest)
        check_egress(spec, manifest)
        issued: tuple[NodeId, ...] = ()
        with self._store.read() if dry_run else self._store.write() as tx:
            before, nodes = tx.deployments.get(spec.name), admitted_nodes(tx)
            freed = permits(tx, before)
            wanted = wanted_of(tx, spec, before, self._now())
            matched = selected(wanted, nodes)
            deployments = with_applied(tx.deployments.all(), wanted)
            check_no_clash(tx, spec, matched, deployments)
            changed = checked(changes(tx, nodes, deployments, self._now()))
            if not dry_run:
                tx.deployments.put(wanted)
                issued = (*freed, *issue(tx, changed, self._topics))
        self._on_changed(issued)
        old = before.spec if before else None
        return Application(
            outcome=_outcome(before, spec),
            diff=diff_of(old, spec),
            nodes=tuple(change.node.full_name for change in changed),
            matched=tuple(node.full_name for node in matched),
            warnings=(*warnings_for(spec, matched), *downgrade_warning(old, spec), *misfits(spec, manifest)),
        )

    def list(self) -> tuple[DeploymentDetails, ...]:
        """All deployments, by name."""
        with self._store.read() as tx:
            deployments, nodes = tx.deployments.all(), admitted_nodes(tx)
            overrides = tx.overrides.of(node.id for node in nodes)
        details = (_details(applied, deployments, nodes, overrides) for applied in deployments)
        return tuple(sorted(details, key=lambda detail: detail.applied.spec.name))

    def show(self, name: str) -> DeploymentDetails:
        """One deployment.

        Raises:
            NotFound: there is none of that name.
        """
        found = next((detail for detail in self.list() if detail.applied.spec.name == name), None)
        if found is None:
            raise _absent(name)
        return found

    def delete(self, name: str, *, permits: Permits = permits_all) -> tuple[str, ...]:
        """Delete a deployment; the full names of the nodes that stop running it.

        Raises:
            NotFound: there is none of that name.
        """
        with self._store.write() as tx:
            applied = tx.deployments.get(name)
            if applied is None:
                raise _absent(name)
            freed = permits(tx, applied)
            tx.deployments.remove(name)
            changed = changes(tx, admitted_nodes(tx), tx.deployments.all(), self._now())
            issued = (*freed, *issue(tx, changed, self._topics))
        self._on_changed(issued)
        return tuple(change.node.full_name for change in changed)


def _outcome(before: Applied | None, spec: Deployment) -> Outcome:
    if before is None:
        return Outcome.CREATED
    return Outcome.UNCHANGED if before.spec == spec else Outcome.CHANGED


def _details(
    applied: Applied,
    deployments: Sequence[Applied],
    nodes: Sequence[Node],
    overrides: Mapping[NodeId, Mapping[str, Override]],
) -> DeploymentDetails:
    def progress(node: Node) -> NodeProgress:
        on_node = overrides.get(node.id, NONE)
        refused = compile_node(node, deployments, on_node).refused
        return progress_of(overridden(applied, on_node), node, refused)

    return DeploymentDetails(applied, tuple(progress(node) for node in selected(applied, nodes)))


def _absent(name: str) -> NotFound:
    return NotFound(f"no deployment {name!r}: see edgectl deployment list")
