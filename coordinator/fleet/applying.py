"""What a deployment would be, once applied, and whether that goes with the others; in the caller's transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from coordinator.errors import Conflict, NotFound
from coordinator.fleet.desired import NONE, compile_node
from coordinator.fleet.records import Applied, Node
from coordinator.fleet.selectors import parse_selector
from coordinator.fleet.store import Transaction
from protos.deployment import Deployment, model_version


def wanted_of(tx: Transaction, spec: Deployment, before: Applied | None, now: datetime) -> Applied:
    """The specification as it would be applied; `before` itself where that says the same.

    Raises:
        BadInput: the selector is none.
        NotFound: there is no such model version.
    """
    parse_selector(spec.selector)
    model, version = model_version(spec.model)
    digest = tx.versions.digest_of(model, version)
    if digest is None:
        raise NotFound(f"deployment {spec.name!r}: no model version {spec.model}: see edgectl model list")
    if before is not None and before.spec == spec:
        return before
    return Applied(spec, digest, before.created_at if before else now, now)


def with_applied(deployments: Iterable[Applied], wanted: Applied) -> tuple[Applied, ...]:
    """The deployments after `wanted` was applied, the oldest first."""
    others = (applied for applied in deployments if applied.spec.name != wanted.spec.name)
    return tuple(sorted((*others, wanted), key=lambda applied: (applied.created_at, applied.spec.name)))


def check_no_clash(tx: Transaction, spec: Deployment, matched: Sequence[Node], deployments: Sequence[Applied]) -> None:
    """Applying `spec` leaves nothing out on any node that it selects, neither itself nor another deployment.

    Raises:
        Conflict: a pipeline's name is taken on a node.
    """
    overrides = tx.overrides.of(node.id for node in matched)
    for node in matched:
        refused = compile_node(node, deployments, overrides.get(node.id, NONE)).refused
        if refused:
            left_out, reason = next(iter(refused.items()))
            raise Conflict(
                f"deployment {spec.name!r} would leave {left_out!r} out on node {node.full_name}: {reason}; "
                "rename the pipeline or narrow a selector"
            )
