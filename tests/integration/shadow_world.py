"""A node's device and loop with real workers and captures, without a coordinator: bundles are put into its store."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from edge_node.capture.handle import Capture, open_capture
from edge_node.config import Source, WorkerSettings
from edge_node.engine.installed import engine_versions
from edge_node.pipeline.observation import Observation
from edge_node.serving.client import ServingProcess
from edge_node.serving.settings import ServingSettings
from edge_node.store.bundles import Bundles
from edge_node.store.papers import PapersFolder
from edge_node.store.release import Papers
from edge_node.store.trust import Adopted
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.desired import LastGoodFile
from edge_node.supervisor.device import Device
from edge_node.supervisor.floors import FloorFile
from edge_node.supervisor.measuring import Measuring
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.releases import Releases
from edge_node.supervisor.reported import reported
from edge_node.supervisor.shadows import Run
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.worker.handle import new_worker
from edge_node.worker.liveness import Limits
from edge_node.worker.messages import Worker
from edge_node.worker.settings import confinement_of, held_to, patient
from protos.deployment import Pipeline
from protos.desired import Desired, DesiredDeployment
from protos.digest import Digest, digest_of
from protos.evidence import ReportedShadow, Shadow
from protos.identity import NodeId
from protos.oci import BundleFile, write_manifest
from tests.unit.protos.signed import NOW, release, root, sealed_release
from tests.waiting import until

NODE = NodeId("0" * 32)


class Node:
    """One device. `seen` is everything that became a result; `current` is the bundle of the version in service."""

    def __init__(self, folder: Path, source: Source, limits: Limits | None = None) -> None:
        self.folder = folder
        self.seen: list[Observation] = []
        self.current = digest_of(b"")
        self.desired = Desired(node=NODE, epoch=1, revision=1, issued_at="", name="cam", site="store")
        self._source = source
        self._limits = limits or Limits()
        self._papers = PapersFolder(folder / "store")
        self.device = self._new_device(folder)
        self.loop = Reconciler(self.device, lambda: self.desired, self._facts, lambda: None)
        self.device.shadows.on_changed = self.loop.wake

    def put(self, bundle: Path, version: int) -> Digest:
        """A bundle of the folder in the store, released as a version of the model `m`."""
        files = {str(path.relative_to(bundle)): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        manifest = write_manifest(BundleFile(name, digest_of(body), len(body)) for name, body in files.items())
        self.device.bundles.add(digest_of(manifest), manifest)
        for body in files.values():
            self.device.bundles.blobs.put(digest_of(body), body)
        self._papers.keep(digest_of(manifest), Papers((sealed_release(release(digest_of(manifest), version=version)),)))
        self.device.rescan()
        return digest_of(manifest)

    def want(self, digest: Digest, shadow: Shadow | None = None, **pipeline: object) -> None:
        """Version 1 is this bundle, with a shadow or without."""
        settings = Pipeline(name="shelf", source="shelf", **pipeline)  # type: ignore[arg-type]
        target = DesiredDeployment("shelf", "m", 1, digest, (settings,), shadow=shadow)
        self.desired = msgspec.structs.replace(self.desired, deployments=(target,))
        self.loop.wake()

    @property
    def run(self) -> Run:
        """The shadow."""
        return self.device.shadows.runs["shelf"]

    def told(self) -> ReportedShadow | None:
        """What the node reports of it."""
        adopted = Adopted(b"", digest_of(b""), self.desired)
        (one,) = reported(NODE, adopted, self.device.actual(), self.loop.plan, at="", refusal="").deployments
        return one.shadow

    async def serves(self, results: int = 1) -> None:
        """Wait until the current version has answered so many more frames."""
        before = len(self.seen)
        await until(lambda: len(self.seen) >= before + results, "answers of the current version")

    def _observed(self, observations: Sequence[Observation]) -> None:
        self.seen += observations
        self.device.observed(observations)

    def _facts(self) -> Facts:
        return Facts(time.monotonic(), frozenset({"shelf"}), processes=True)

    def _worker_died(self, reason: str) -> None:
        self.device.worker_died(reason, self.loop.under_way)
        self.loop.wake()

    def _new_worker(self, memory_mb: int | None = None, *, candidate: bool = False) -> Worker:
        confinement = confinement_of(WorkerSettings(), self.folder / "store" / "bundles", None)
        limits = patient(self._limits) if candidate else self._limits
        return new_worker("process", held_to(confinement, memory_mb), limits)

    def _new_capture(self, name: str) -> Capture:
        return open_capture("process", name, self._source, self.folder)

    def _new_device(self, folder: Path) -> Device:
        made = Device(
            bundles=Bundles(folder / "store"),
            releases=Releases(self._papers, FloorFile(folder / "floors.json"), lambda: (root(),), lambda: NOW),
            choices=Choices(folder / "choices.json"),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            verdict_file=VerdictFile(folder / "verdicts.json"),
            measuring=Measuring(time.monotonic, lambda: ""),
            new_worker=self._new_worker,
            new_candidate=lambda memory_mb: self._new_worker(memory_mb, candidate=True),
            new_capture=self._new_capture,
            new_serving=lambda: ServingProcess(ServingSettings("")),
            threads=1,
            clock=time.monotonic,
            on_progress=lambda *_: None,
            on_worker_exit=self._worker_died,
            on_observed=self._observed,
        )
        made.open("this machine", engine_versions())
        return made


@asynccontextmanager
async def node(folder: Path, source: Source, limits: Limits | None = None) -> AsyncIterator[Node]:
    """A node whose loop runs."""
    one = Node(folder, source, limits)
    running = asyncio.create_task(one.loop.run())
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await one.device.close()
