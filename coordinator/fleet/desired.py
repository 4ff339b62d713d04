"""What each node should run: deployments and nodes become desired documents. Pure.

Deployments are taken in the order of their creation. One whose pipeline name another deployment already has on a node
is left out on that node, with the reason; `edgectl deployment apply` refuses such a deployment before it comes to this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from coordinator.fleet.records import Applied, Issued, Node, Override
from coordinator.fleet.selectors import parse_selector
from protos.deployment import model_version
from protos.desired import Desired, DesiredDeployment, encode_desired, state_digest
from protos.moments import rfc3339

MAX_EPOCHS_AHEAD = 1000
"""A hello is not signed: it may raise the epoch by so much at most."""

NONE: Mapping[str, Override] = {}
"""No deployment is anything else on the node."""
LIFETIME = timedelta(days=30)
"""A document is not adopted anew after so long; it is issued again at half of it."""


@dataclass(frozen=True)
class Stamp:
    """What all documents of one moment carry: the epoch, the time, the number of the newest trust root."""

    epoch: int
    now: datetime
    trust_root: int = 0


@dataclass(frozen=True)
class Compiled:
    """What a node should run, and why it does not run what else selects it (deployment → reason)."""

    deployments: tuple[DesiredDeployment, ...]
    refused: dict[str, str]


def selected(deployment: Applied, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes that the deployment's selector matches."""
    selector = parse_selector(deployment.spec.selector)
    return tuple(node for node in nodes if selector.matches(node.selectable))


def compile_node(node: Node, deployments: Sequence[Applied], overrides: Mapping[str, Override] = NONE) -> Compiled:
    """What a node should run of these deployments, the oldest first, some of which are something else on this node."""
    taken: list[DesiredDeployment] = []
    refused: dict[str, str] = {}
    owners: dict[str, str] = {}
    for deployment in deployments:
        if not selected(deployment, (node,)):
            continue
        name = deployment.spec.name
        here = overridden(deployment, overrides)
        names = [pipeline.name for pipeline in here.spec.pipelines]
        clash = next((pipeline for pipeline in names if pipeline in owners), None)
        if clash is not None:
            refused[name] = f"pipeline {clash!r} of deployment {owners[clash]!r} already has that name on this node"
            continue
        owners.update(dict.fromkeys(names, name))
        taken.append(_resolved(here, overrides.get(name, Override())))
    return Compiled(tuple(sorted(taken, key=lambda resolved: resolved.name)), refused)


def overridden(deployment: Applied, overrides: Mapping[str, Override]) -> Applied:
    """The deployment as it is on a node with these overrides."""
    override = overrides.get(deployment.spec.name)
    if override is None or override.spec is None or override.digest is None:
        return deployment
    return replace(deployment, spec=override.spec, digest=override.digest)


def next_document(node: Node, compiled: Compiled, held: Issued | None, stamp: Stamp) -> Issued | None:
    """The document to issue to a node, or None where the newest one already says the same and is in its first half."""
    wanted = Desired(
        node=node.id,
        epoch=stamp.epoch,
        revision=1 if held is None else held.revision + 1,
        issued_at=rfc3339(stamp.now),
        name=node.name,
        site=node.site,
        deployments=compiled.deployments,
        expires_at=stamp.now + LIFETIME,
        trust_root=stamp.trust_root,
    )
    if held is not None and held.epoch == stamp.epoch and _is_same(decode(held), wanted, stamp.now):
        return None
    payload = encode_desired(wanted)
    return Issued(node.id, stamp.epoch, wanted.revision, state_digest(payload), payload)


def decode(issued: Issued) -> Desired:
    """The document that was issued."""
    return msgspec.json.decode(issued.payload, type=Desired)


def _is_same(held: Desired, wanted: Desired, now: datetime) -> bool:
    """Whether both say the same, whatever their number and dates, and half of the older one's life is still ahead."""
    if held.expires_at is None or now >= held.expires_at - LIFETIME / 2:
        return False
    numbered = msgspec.structs.replace(
        wanted, revision=held.revision, issued_at=held.issued_at, expires_at=held.expires_at
    )
    return numbered == held


def _resolved(deployment: Applied, override: Override) -> DesiredDeployment:
    spec = deployment.spec
    model, version = model_version(spec.model)
    return DesiredDeployment(
        name=spec.name,
        model=model,
        version=version,
        digest=deployment.digest,
        pipelines=spec.pipelines,
        strategy=spec.strategy,
        variant=spec.variant,
        serving=spec.serving,
        trial=override.trial,
        shadow=override.shadow,
    )


def was_not_issued_here(epoch: int, revision: int, held: str | None, current: int, issued: Issued | None) -> bool:
    """Whether a node holds what was never issued here, within a believable epoch: a number above the newest, or that
    very number with other content (a restored coordinator has counted up to it again; the node would refuse it).
    """
    if issued is None or held is None or not 0 <= epoch - current <= MAX_EPOCHS_AHEAD:
        return False
    newest = (issued.epoch, issued.revision)
    return (epoch, revision) > newest or ((epoch, revision) == newest and held != issued.digest)
