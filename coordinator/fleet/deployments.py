"""Deployments: applied declaratively, listed, shown, deleted. Each change issues documents in its own transaction."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from coordinator.errors import Conflict, NotFound
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.desired import compile_node, selected
from coordinator.fleet.documents import changes, checked, issue
from coordinator.fleet.explain import diff_of, warnings_for
from coordinator.fleet.fitting import check_egress, check_variant, misfits
from coordinator.fleet.progress import NodeProgress, progress_of
from coordinator.fleet.records import Applied, Node
from coordinator.fleet.selectors import parse_selector
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


@dataclass(frozen=True)
class Application:
    """What was applied, or would be: the documents of `nodes` change, `matched` are selected; both by full name."""

    outcome: Outcome
    diff: str
    nodes: tuple[str, ...]
    matched: tuple[str, ...]
    warnings: tuple[str, ...]


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

    def apply(self, spec: Deployment, *, dry_run: bool) -> Application:
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
            wanted = self._wanted(tx, spec, before)
            matched = selected(wanted, nodes)
            deployments = _with(tx.deployments.all(), wanted)
            _check_no_clash(spec, matched, deployments)
            changed = checked(changes(tx, nodes, deployments, self._now()))
            if not dry_run:
                tx.deployments.put(wanted)
                issued = issue(tx, changed, self._topics)
        self._on_changed(issued)
        return Application(
            outcome=_outcome(before, spec),
            diff=diff_of(before.spec if before else None, spec),
            nodes=tuple(change.node.full_name for change in changed),
            matched=tuple(node.full_name for node in matched),
            warnings=(*warnings_for(spec, matched), *misfits(spec, manifest)),
        )

    def list(self) -> tuple[DeploymentDetails, ...]:
        """All deployments, by name."""
        with self._store.read() as tx:
            deployments, nodes = tx.deployments.all(), admitted_nodes(tx)
        details = (_details(applied, deployments, nodes) for applied in deployments)
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

    def delete(self, name: str) -> tuple[str, ...]:
        """Delete a deployment; the full names of the nodes that stop running it.

        Raises:
            NotFound: there is none of that name.
        """
        with self._store.write() as tx:
            if tx.deployments.get(name) is None:
                raise _absent(name)
            tx.deployments.remove(name)
            changed = changes(tx, admitted_nodes(tx), tx.deployments.all(), self._now())
            issued = issue(tx, changed, self._topics)
        self._on_changed(issued)
        return tuple(change.node.full_name for change in changed)

    def _wanted(self, tx: Transaction, spec: Deployment, before: Applied | None) -> Applied:
        parse_selector(spec.selector)
        model, version = model_version(spec.model)
        digest = tx.versions.digest_of(model, version)
        if digest is None:
            raise NotFound(f"deployment {spec.name!r}: no model version {spec.model}: see edgectl model list")
        if before is not None and before.spec == spec:
            return before
        now = self._now()
        return Applied(spec, digest, before.created_at if before else now, now)


def _outcome(before: Applied | None, spec: Deployment) -> Outcome:
    if before is None:
        return Outcome.CREATED
    return Outcome.UNCHANGED if before.spec == spec else Outcome.CHANGED


def _with(deployments: Iterable[Applied], wanted: Applied) -> tuple[Applied, ...]:
    """The deployments after `wanted` was applied, the oldest first."""
    others = (applied for applied in deployments if applied.spec.name != wanted.spec.name)
    return tuple(sorted((*others, wanted), key=lambda applied: (applied.created_at, applied.spec.name)))


def _check_no_clash(spec: Deployment, matched: Iterable[Node], deployments: Sequence[Applied]) -> None:
    """Applying `spec` leaves nothing out on any node that it selects, neither itself nor another deployment."""
    for node in matched:
        refused = compile_node(node, deployments).refused
        if refused:
            left_out, reason = next(iter(refused.items()))
            raise Conflict(
                f"deployment {spec.name!r} would leave {left_out!r} out on node {node.full_name}: {reason}; "
                "rename the pipeline or narrow a selector"
            )


def _details(applied: Applied, deployments: Sequence[Applied], nodes: Sequence[Node]) -> DeploymentDetails:
    matched = selected(applied, nodes)
    progress = (progress_of(applied, node, compile_node(node, deployments).refused) for node in matched)
    return DeploymentDetails(applied, tuple(progress))


def _absent(name: str) -> NotFound:
    return NotFound(f"no deployment {name!r}: see edgectl deployment list")
