"""The virtual fleet before its rollout: every node is there and runs the version before."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from coordinator.db.control import ControlStore
from coordinator.fleet.desired import decode
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.presence import Connection, Presence
from coordinator.fleet.records import Applied, Issued, Node
from coordinator.registry.records import Version, Versions
from coordinator.sim.faults import Faults
from coordinator.sim.node import VirtualNode
from protos.deployment import Deployment, Pipeline, model_version
from protos.digest import digest_of
from protos.identity import NodeId, node_id
from protos.oci import BundleFile
from protos.reported import Facts, Reported
from protos.topics import Topics

TOPICS = Topics()
NODES_A_SITE = 20
BAD_FACTOR = 10.0


@dataclass(frozen=True)
class Fleet:
    """The nodes, their rows and their documents."""

    nodes: dict[NodeId, VirtualNode]
    rows: dict[NodeId, Node]
    documents: dict[NodeId, Issued]


def found(
    store: ControlStore, count: int, deployment: str, to: str, faults: Faults, random: Random, now: datetime
) -> Fleet:
    """So many nodes in an empty database, on a deployment of the version before `to`."""
    store.prepare()
    rows = {row.id: row for row in (_row(number, random, now) for number in range(count))}
    with store.write() as tx:
        applied = _versions(tx.versions, deployment, to, now)
        tx.deployments.put(applied)
        tx.nodes.put_all(rows.values())
        issue(tx, changes(tx, tuple(rows.values()), (applied,), now), TOPICS)
        documents = dict(tx.documents.of(rows))
        bad = _bad_sites(rows.values(), faults, random)
        nodes = {id_: _node(row, documents[id_], faults, random, row.site in bad) for id_, row in rows.items()}
        rows = {id_: _reporting(row, nodes[id_], now) for id_, row in rows.items()}
        tx.nodes.put_all(rows.values())
    return Fleet(nodes, rows, documents)


def _versions(versions: Versions, deployment: str, to: str, now: datetime) -> Applied:
    """Both versions; the deployment of the one before."""
    model, version = model_version(to)
    before = version - 1 or version + 1
    for number in sorted((before, version)):
        versions.take_number(model, number)
        digest = digest_of(f"{model}@{number}".encode())
        file = BundleFile("model.onnx", digest, 4_000_000)
        versions.add(Version(model, number, digest, "classification", file.size, now, (file,)))
    spec = Deployment(deployment, "", f"{model}@{before}", (Pipeline("shelf", "shelf"),))
    return Applied(spec, digest_of(f"{model}@{before}".encode()), now, now)


def _row(number: int, random: Random, now: datetime) -> Node:
    site = f"site-{number // NODES_A_SITE + 1}"
    return Node(
        node_id(random.randbytes(16)),
        site,
        f"node-{number % NODES_A_SITE + 1}",
        {},
        Facts(sources=("shelf",), timezone="UTC"),
        now,
        Connection(Presence.ONLINE, "1"),
        now,
    )


def _bad_sites(rows: Iterable[Node], faults: Faults, random: Random) -> frozenset[str]:
    sites = sorted({row.site for row in rows})
    return frozenset(random.sample(sites, round(len(sites) * faults.bad_sites)))


def _node(row: Node, document: Issued, faults: Faults, random: Random, bad: bool) -> VirtualNode:
    skew = faults.seconds("clock_skew")
    wanted = decode(document).deployments[0]
    return VirtualNode(
        row.id,
        Random(random.getrandbits(64)),  # noqa: S311 - a simulation is repeated by its seed
        faults,
        serving=wanted,
        last_good=wanted,
        document=wanted,
        document_digest=document.digest,
        slow=faults.slow_factor if random.random() < faults.slow else 1.0,
        skew=timedelta(seconds=random.uniform(-skew, skew)),
        new_latency_ms=faults.new_latency_ms * (BAD_FACTOR if bad else 1.0),
    )


def _reporting(row: Node, node: VirtualNode, now: datetime) -> Node:
    said = Reported(row.id, 1, 1, node.document_digest, "", (node.said(now, measures=False),))
    return replace(row, reported=said, held_digest=node.document_digest)
