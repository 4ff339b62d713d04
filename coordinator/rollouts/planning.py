"""What a rollout would do on each node, before anything moves. Pure.

What is predicted is what others have proved: latency is that of the same bundle on equal hardware, and where nobody
has proved it there is no prediction.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from coordinator.fleet.explain import downgrade_warning, warnings_for
from coordinator.fleet.presence import Presence
from coordinator.fleet.records import Node
from coordinator.rollouts.draft import Draft
from coordinator.rollouts.records import Member, Rollout
from coordinator.rollouts.windows import opening
from protos.bundle import Manifest
from protos.digest import Digest
from protos.oci import BundleFile
from protos.reported import Facts, ReportedDeployment

MEMORY_STEP_MB = 512
"""Equal devices report memory that differs by what their firmware took."""

EVERYWHERE = frozenset({"stub"})
"""Engines that no node names: they need no runtime."""

Hardware = tuple[str, int, int]


@dataclass(frozen=True)
class Proven:
    """How a variant of the bundle did on somebody's hardware."""

    variant: str
    engine: str
    p95_ms: float | None


@dataclass(frozen=True)
class PlannedNode:
    """What the rollout would do on one node."""

    node: Node
    wave: int
    reason: str = ""
    """why it does not fit; empty where it does as far as can be told"""
    variant: str = ""
    engine: str = ""
    p95_ms: float | None = None
    """the median of the proofs"""
    proofs: int = 0
    """of this bundle on equal hardware"""
    fetch_bytes: int = 0
    window: str = ""
    """when its window opens; empty: open, or there is none"""

    @property
    def online(self) -> bool:
        """Whether it is there now."""
        return self.node.connection.presence is Presence.ONLINE


@dataclass(frozen=True)
class Plan:
    """What the rollout would do, node by node, and what is likely not meant."""

    rollout: Rollout
    nodes: tuple[PlannedNode, ...]
    warnings: tuple[str, ...]


def planned(
    draft: Draft,
    manifest: Manifest,
    before: Collection[BundleFile],
    after: Collection[BundleFile],
    fleet: Iterable[Node],
    now: datetime,
) -> Plan:
    """The plan of a rollout that is written down.

    Args:
        draft: the rollout with its members and their nodes.
        manifest: of the version that it moves to.
        before: the files of the version before.
        after: the files of the version that it moves to.
        fleet: all nodes, whose proofs tell of hardware.
        now: the time.
    """
    known, waves = proofs_of(draft.rollout.after_digest, fleet), {one.node: one for one in draft.members}
    shared = {file.digest for file in before}
    new = sum(file.size for file in after if file.digest not in shared)
    every = sum(file.size for file in after)
    nodes = tuple(
        _planned(draft.rollout, node, waves[node.id], manifest, known[hardware(node.facts)], (new, every), now)
        for node in draft.nodes
    )
    before_after = draft.rollout.before, draft.rollout.after
    warnings = (*warnings_for(draft.rollout.after, draft.nodes), *downgrade_warning(*before_after))
    return Plan(draft.rollout, nodes, warnings)


def hardware(facts: Facts) -> Hardware:
    """What makes two devices equal."""
    return facts.machine, facts.cores, round(facts.memory_mb / MEMORY_STEP_MB)


def proofs_of(digest: Digest, fleet: Iterable[Node]) -> dict[Hardware, list[Proven]]:
    """What nodes have proved of a bundle, by their hardware."""
    found: dict[Hardware, list[Proven]] = defaultdict(list)
    for node in fleet:
        for entry in node.reported.deployments if node.reported else ():
            if entry.digest == digest and entry.proof is not None and entry.variant and entry.phase == "running":
                found[hardware(node.facts)].append(Proven(entry.variant, entry.engine or "", entry.proof.p95_ms))
    return found


def _planned(
    rollout: Rollout,
    node: Node,
    member: Member,
    manifest: Manifest,
    proofs: list[Proven],
    sizes: tuple[int, int],
    now: datetime,
) -> PlannedNode:
    variant, engine = _variant(rollout, node.facts, manifest, proofs)
    same = [one.p95_ms for one in proofs if one.variant == variant and one.p95_ms is not None]
    fetch = _fetched(rollout, node, sizes)
    return PlannedNode(
        node=node,
        wave=member.wave,
        reason=_misfit(rollout, node, manifest, variant, fetch),
        variant=variant,
        engine=engine,
        p95_ms=median(same) if same else None,
        proofs=len(same),
        fetch_bytes=fetch,
        window=opening(rollout.spec.windows, node.facts.timezone, now).text,
    )


def _variant(rollout: Rollout, facts: Facts, manifest: Manifest, proofs: list[Proven]) -> tuple[str, str]:
    """The variant that the node will most likely choose, and its engine: what its equals have chosen comes first."""
    known = facts.engines.keys() | EVERYWHERE
    able = [one for one in manifest.variants if not facts.engines or one.engine in known]
    wanted = [one for one in able if rollout.after.variant in (None, one.file)]
    chosen = Counter((one.variant, one.engine) for one in proofs if one.variant in {one.file for one in wanted})
    if chosen:
        return chosen.most_common(1)[0][0]
    return (wanted[0].file, str(wanted[0].engine)) if wanted else ("", "")


def _misfit(rollout: Rollout, node: Node, manifest: Manifest, variant: str, fetch: int) -> str:
    if not variant:
        known = ", ".join(f"{one.file} ({one.engine})" for one in manifest.variants)
        return f"no engine for {known}; it has: {', '.join(node.facts.engines)}"
    if node.facts.disk_free_mb and fetch > node.facts.disk_free_mb * 1_000_000:
        return f"{fetch / 1e6:.0f} MB to fetch, {node.facts.disk_free_mb} MB free"
    missing = [one.source for one in rollout.after.pipelines if one.source not in node.facts.sources]
    return f"no source {missing[0]!r}" if missing else ""


def _fetched(rollout: Rollout, node: Node, sizes: tuple[int, int]) -> int:
    """Bytes that the node has to fetch: nothing of what it has of the version before, or of this one already."""
    held = {entry.digest for entry in _entries(node)}
    if rollout.after_digest in held:
        return 0
    return sizes[0] if rollout.before_digest in held else sizes[1]


def _entries(node: Node) -> tuple[ReportedDeployment, ...]:
    return node.reported.deployments if node.reported else ()
