"""Nodes and deployments to test with."""

from datetime import UTC, datetime, timedelta

from coordinator.fleet.records import Applied, Node
from coordinator.registry.records import Version
from protos.bundle import Manifest, Task, Variant
from protos.deployment import Deployment, Live, Pipeline
from protos.digest import digest_of
from protos.identity import NodeId
from protos.oci import BundleFile
from protos.reported import Facts

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
DIGEST = digest_of(b"bundle")
MANIFEST = Manifest("m", Task.CLASSIFICATION, (Variant("m.onnx", "onnxruntime"), Variant("m.tflite", "litert")))


def a_node(name: str = "cam-3", site: str = "store-12", **labels: str) -> Node:
    """A node with the source `shelf`; its id is made of its first name."""
    node_id = NodeId(digest_of(f"{site}/{name}".encode())[7:39])
    return Node(node_id, site, name, labels, Facts(sources=("shelf",)), NOW)


def a_deployment(
    name: str = "shelf",
    selector: str = "site=store-12",
    pipeline: str = "shelf",
    after_s: int = 0,
    live: Live | None = None,
) -> Applied:
    """A deployment with one pipeline."""
    spec = Deployment(
        name,
        selector,
        "mobilenet@1",
        (Pipeline(pipeline, "shelf") if live is None else Pipeline(pipeline, "shelf", live=live),),
    )
    applied_at = NOW + timedelta(seconds=after_s)
    return Applied(spec, DIGEST, applied_at, applied_at)


def a_version() -> Version:
    """Version 1 of model m, with one file."""
    files = (BundleFile("model.toml", digest_of(b"toml"), 4),)
    return Version("m", 1, digest_of(b"m"), "tensor", 4, NOW, files)
