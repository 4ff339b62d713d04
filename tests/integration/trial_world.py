"""A node without a coordinator, from its supervisor down to real workers and captures: versions are put into its store
and wanted, as a desired document would want them.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge_node.capture.handle import Capture, open_capture
from edge_node.config import Source
from edge_node.engine.installed import engine_versions
from edge_node.outbox.events import rfc3339
from edge_node.sandbox.confinement import Confinement
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
from edge_node.supervisor.trials import trial_reported
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.worker.handle import new_worker
from protos.deployment import Pipeline
from protos.desired import Desired, DesiredDeployment
from protos.digest import Digest, digest_of
from protos.identity import NodeId
from protos.oci import BundleFile, write_manifest
from protos.reported import ReportedDeployment
from tests.unit.protos.signed import NOW, release, root, sealed_release

NODE = NodeId("0" * 32)
PIPELINE = Pipeline(name="shelf", source="shelf")


class TrialNode:
    """One node on a folder, which looks at a source; a second one on the same folder is the first after a restart."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.device = self._new_device()
        self.desired: Desired | None = None
        self.answers: list[int] = []
        """the version of each answer"""
        self._source = source
        self._loop = Reconciler(self.device, lambda: self.desired, self._facts, lambda: None)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read the disk and reconcile."""
        self.device.open("this machine", engine_versions())
        self.device.on_observed = self._on_observed
        self.device.on_worker_status = lambda _: self.device.measure()
        self._running = asyncio.create_task(self._loop.run())

    async def stop(self) -> None:
        """End as the agent does."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self.device.close()

    def put(self, bundle: Path, version: int) -> Digest:
        """A folder as a released version in the store."""
        files = {str(file.relative_to(bundle)): file.read_bytes() for file in bundle.rglob("*") if file.is_file()}
        manifest = write_manifest(BundleFile(name, digest_of(body), len(body)) for name, body in files.items())
        digest = digest_of(manifest)
        self.device.bundles.add(digest, manifest)
        for body in files.values():
            self.device.bundles.blobs.put(digest_of(body), body)
        papers = Papers((sealed_release(release(digest, "m", version)),))
        self.device.releases.papers.keep(digest, papers)
        self.device.rescan()
        return digest

    def want(self, version: int, digest: Digest, **changes: Any) -> None:
        """Want a version on the one pipeline."""
        fields = {"name": "shelf", "model": "m", "version": version, "digest": digest, "pipelines": (PIPELINE,)}
        self.desired = Desired(NODE, 1, 1, "", "cam", "store", (DesiredDeployment(**{**fields, **changes}),))
        self._loop.wake()

    def report(self) -> ReportedDeployment:
        """What the node says of its deployment."""
        assert self.desired is not None
        (target,) = self.desired.deployments
        actual = self.device.actual()
        measured = self.device.measuring.of(target.name, target.digest)
        adopted = Adopted(b"", digest_of(b""), self.desired)
        trials = {target.name: trial_reported(target, actual, measured)}
        said = reported(NODE, adopted, actual, self._loop.plan, at="", refusal="", trials=trials)
        return said.deployments[0]

    def state(self) -> str:
        """What the node thinks of the version that is wanted, where it is not the last good one."""
        verdict = self.device.verdicts.get("shelf")
        return "" if verdict is None else verdict.state

    async def until(self, holds: Callable[[], object], within_s: float = 30.0) -> None:
        """Wait until something holds; what the node says where it does not come."""
        ends = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < ends, f"in vain: {msgspec.json.encode(self.report()).decode()}"
            await asyncio.sleep(0.05)

    async def serves(self, version: int, within_s: float = 30.0) -> None:
        """Wait until the newest answers are a version's."""
        self.answers.clear()
        await self.until(lambda: self.answers[-3:] == [version] * 3, within_s)

    def _on_observed(self, observations: Any) -> None:
        self.device.observed(observations)
        self.answers += [self.device.loaded[seen.session].session.version for seen in observations]

    def _facts(self) -> Facts:
        self.device.look_at_sources()
        return Facts(now=time.monotonic(), sources=frozenset({"shelf"}))

    def _on_worker_exit(self, reason: str) -> None:
        self.device.worker_died(reason, self._loop.under_way)
        self._loop.wake()

    def _new_capture(self, name: str) -> Capture:
        return open_capture("process", name, self._source, self.folder)

    def _new_device(self) -> Device:
        folder, confinement = self.folder, Confinement(readable=(str(self.folder / "store" / "bundles"),))
        papers, floors = PapersFolder(folder / "store"), FloorFile(folder / "floors.json")
        return Device(
            bundles=Bundles(folder / "store"),
            releases=Releases(papers, floors, lambda: (root(),), lambda: NOW),
            choices=Choices(folder / "choices.json"),
            last_good_file=LastGoodFile(folder / "last_good.json"),
            verdict_file=VerdictFile(folder / "verdicts.json"),
            measuring=Measuring(time.monotonic, lambda: rfc3339(time.time_ns())),
            new_worker=lambda: new_worker("process", confinement),
            new_capture=self._new_capture,
            new_serving=lambda: ServingProcess(ServingSettings("")),
            threads=1,
            clock=time.monotonic,
            on_progress=lambda *_: None,
            on_worker_exit=self._on_worker_exit,
        )
