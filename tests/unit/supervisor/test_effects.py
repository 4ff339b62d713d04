"""Effects and the loop around them, with a worker and captures that only remember."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from edge_node.capture.messages import CaptureReport
from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, NoChoice
from edge_node.errors import Refused, WorkerFailed
from edge_node.pipeline.observation import Observation
from edge_node.rungs import Rung
from edge_node.serving.client import ServingProcess
from edge_node.serving.settings import ServingSettings
from edge_node.store.bundles import Bundles
from edge_node.store.papers import PapersFolder
from edge_node.store.release import Papers
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Facts, Session
from edge_node.supervisor.choices import Choices
from edge_node.supervisor.desired import LastGoodFile
from edge_node.supervisor.device import Device, Loaded
from edge_node.supervisor.effects import EFFECTS
from edge_node.supervisor.floors import FloorFile
from edge_node.supervisor.measuring import Measuring
from edge_node.supervisor.reconciler import LOOK_S, Reconciler, sleep_s, startable
from edge_node.supervisor.releases import Releases
from edge_node.supervisor.verdicts import VerdictFile
from edge_node.worker.messages import NOTHING_KNOWN, LaneOptions, PipelineRun, Status
from protos.deployment import Egress, Pipeline
from protos.desired import Desired
from protos.digest import Digest, digest_of
from protos.oci import BundleFile, write_manifest
from tests.unit.protos.signed import NOW, release, root, sealed_release
from tests.unit.supervisor.world import deployment, desired, digest, session
from tests.waiting import until

MODEL = b"""name = "m"
task = "anomaly"
variants = [{file = "a.onnx", engine = "stub"}, {file = "b.onnx", engine = "stub"}]
"""


class RecordingWorker:
    """A worker that remembers what it was told; `crash_on` and `disagree` name variants."""

    def __init__(self, crash_on: Sequence[str] = (), disagree: Sequence[str] = ()) -> None:
        self.pid: int | None = None
        self.status: Status | None = None
        self.on_observed: Callable[[Sequence[Observation]], None] = lambda _: None
        self.on_status: Callable[[Status], None] = lambda _: None
        self.on_exit: Callable[[str], None] = lambda _: None
        self.told: list[str] = []
        self.crash_on, self.disagree = crash_on, disagree

    async def start_worker(self) -> None:
        self.told.append("start worker")

    async def prove(
        self, bundle: Path, variant: str | None, threads: int, *, again: bool = False, rung: Rung | None = None
    ) -> tuple[VariantProof, ...]:
        assert variant is not None
        if variant in self.crash_on:
            raise WorkerFailed(f"killed by SIGSEGV while proving {variant}")
        agrees = variant not in self.disagree
        engine = "stub" if rung is None else rung.engine
        return (VariantProof(variant, engine, "1", "cpu", threads, 1, agrees, agreement=float(agrees), tolerance=1.0),)

    async def load(
        self,
        session: str,
        bundle: Path,
        variant: str,
        threads: int,
        instances: int,
        rungs: tuple[Rung, ...] = (),
        loads_ms: Mapping[str, float] = NOTHING_KNOWN,
    ) -> float:
        self.told.append(f"load {session}")
        return 1.0

    async def unload(self, session: str) -> None:
        self.told.append(f"unload {session}")

    async def start(self, run: PipelineRun) -> None:
        self.told.append(f"start {run.name} on {run.session}")

    async def switch(self, run: PipelineRun) -> float:
        self.told.append(f"switch {run.name} to {run.session}")
        return 0.0

    async def stop(self, pipeline: str) -> None:
        self.told.append(f"stop {pipeline}")

    async def open_lane(self, session: str, lane: str, options: LaneOptions) -> None:
        """Remember."""
        self.told.append(f"open lane {session}")

    async def close_lane(self, session: str) -> None:
        """Remember."""
        self.told.append(f"close lane {session}")

    async def close(self) -> None:
        self.told.append("close")


class RecordingCapture:
    """A capture that gives no frames."""

    def __init__(self, name: str) -> None:
        self.name, self.socket, self.report = name, Path("/nowhere"), CaptureReport("connected")
        self.on_exit: Callable[[str], None] = lambda _: None
        self.closed = False

    async def start(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        self.closed = True


def device_in(folder: Path, worker: Callable[[], RecordingWorker] = RecordingWorker) -> Device:
    made = Device(
        bundles=Bundles(folder / "store"),
        releases=Releases(
            PapersFolder(folder / "store"), FloorFile(folder / "floors.json"), lambda: (root(),), lambda: NOW
        ),
        choices=Choices(folder / "choices.json"),
        last_good_file=LastGoodFile(folder / "last_good.json"),
        verdict_file=VerdictFile(folder / "verdicts.json"),
        measuring=Measuring(lambda: 100.0, lambda: "2026-01-01T00:00:00Z"),
        new_worker=worker,
        new_capture=RecordingCapture,
        new_serving=lambda: ServingProcess(ServingSettings("")),
        threads=1,
        clock=lambda: 100.0,
        on_progress=lambda *_: None,
        on_worker_exit=lambda _: None,
    )
    made.open("this machine", {"stub": "1"})
    return made


def put(device: Device) -> Digest:
    """A whole bundle of two variants in the device's store, released as version 1 of its model."""
    bodies = {"model.toml": MODEL, "a.onnx": b"a", "b.onnx": b"b"}
    manifest = write_manifest(BundleFile(name, digest_of(body), len(body)) for name, body in bodies.items())
    device.bundles.add(digest_of(manifest), manifest)
    for body in bodies.values():
        device.bundles.blobs.put(digest_of(body), body)
    device.rescan()
    device.releases.papers.keep(digest_of(manifest), Papers((sealed_release(release(digest_of(manifest))),)))
    return digest_of(manifest)


async def carry_out(device: Device, *steps: s.Step) -> None:
    for step in steps:
        await EFFECTS[type(step)](device, step)


def test_every_step_but_waiting_has_an_effect() -> None:
    concrete = {kind for kind in _subclasses(s.Step) if kind.verb}
    assert concrete - {s.Wait} == EFFECTS.keys()


def _subclasses(kind: type[s.Step]) -> set[type[s.Step]]:
    return {kind, *(deep for direct in kind.__subclasses__() for deep in _subclasses(direct))}


async def test_a_variant_that_crashes_the_prover_leaves_the_other_to_be_chosen(tmp_path: Path) -> None:
    device = device_in(tmp_path, lambda: RecordingWorker(crash_on=["a.onnx"]))
    bundle = put(device)
    await carry_out(device, s.Verify("d", bundle, "m", 1), s.Prove("d", bundle, None))
    choice = device.actual().choices[(bundle, None)]
    assert isinstance(choice, Choice)
    assert choice.proof.file == "b.onnx"


async def test_a_bundle_that_only_crashes_fails_to_be_proven(tmp_path: Path) -> None:
    device = device_in(tmp_path, lambda: RecordingWorker(crash_on=["a.onnx", "b.onnx"]))
    bundle = put(device)
    with pytest.raises(WorkerFailed, match="SIGSEGV"):
        await carry_out(device, s.Verify("d", bundle, "m", 1), s.Prove("d", bundle, None))
    assert device.actual().choices == {}


async def test_a_choice_is_kept_for_this_hardware_and_engine_and_a_refusal_until_the_next_start(tmp_path: Path) -> None:
    device = device_in(tmp_path)
    bundle = put(device)
    await carry_out(device, s.Verify("d", bundle, "m", 1), s.Prove("d", bundle, None))
    device.choices.keep((digest(9), None), NoChoice("disagrees"))
    assert device_in(tmp_path).actual().choices.keys() == {(bundle, None)}
    assert device_in(tmp_path).actual().choices == {(bundle, None): device.choices.valid()[bundle, None]}
    for hardware, engines in (("another", {"stub": "1"}), ("this machine", {"stub": "2"})):
        again = Choices(tmp_path / "choices.json")
        again.load(hardware, engines)
        assert again.valid() == {}
        assert again.previous((bundle, None)) == "a.onnx"
    await carry_out(device, s.Remove("", bundle))
    assert device_in(tmp_path).actual().choices == {}


async def test_the_loop_brings_a_device_to_its_desired_state_and_back(tmp_path: Path) -> None:
    worker = RecordingWorker()
    device = device_in(tmp_path, lambda: worker)
    wanted: list[Desired] = [desired(deployment(1, digest=put(device)))]
    facts = Facts(now=100.0, sources=frozenset({"shelf"}))
    loop = Reconciler(device, lambda: wanted[0], lambda: facts, lambda: None)
    running = asyncio.create_task(loop.run())
    await until(lambda: "shelf" in device.pipelines)
    capture = device.captures["shelf"]
    wanted[0] = desired()
    loop.wake()
    await until(lambda: not device.known)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert isinstance(capture, RecordingCapture)
    assert capture.closed
    assert worker.told[-3:] == ["stop shelf", worker.told[-2], "close"]
    assert LastGoodFile(tmp_path / "last_good.json").load() == {}


async def test_what_fails_is_remembered_and_the_loop_goes_on(tmp_path: Path) -> None:
    device = device_in(tmp_path)
    loop = Reconciler(device, lambda: desired(deployment()), lambda: Facts(100.0, coordinator=True), lambda: None)
    running = asyncio.create_task(loop.run())
    await until(lambda: bool(device.failures))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (failure,) = device.failures.values()
    assert failure.reason == "no coordinator to fetch the model from yet"
    device.forgive_fetches()
    assert not device.failures


async def test_a_dead_worker_takes_its_sessions_along_and_what_was_on_probation_is_held_back(tmp_path: Path) -> None:
    device = device_in(tmp_path)
    bundle = put(device)
    device.last_good = {"shelf": deployment(1)}
    pipeline = Pipeline(name="shelf", source="shelf")
    await carry_out(device, s.Verify("shelf", bundle, "m", 1), s.Prove("shelf", bundle, None), s.StartWorker("shelf"))
    (proof,) = (choice.proof for choice in device.choices.valid().values() if isinstance(choice, Choice))
    new = Session("m", 2, bundle, proof.file)
    await carry_out(device, s.Load("shelf", new), s.StartCapture("shelf", "shelf"))
    await carry_out(device, s.StartPipeline("shelf", pipeline, new))
    device.worker_died("killed", under_way=())
    actual = device.actual()
    assert (actual.worker, actual.sessions, actual.pipelines) == (False, frozenset(), {})
    assert s.session_subject(new) in actual.failures
    await carry_out(device, s.StartWorker("shelf"))
    assert device.dead_worker is None


def test_a_load_that_was_under_way_is_blamed_alone(tmp_path: Path) -> None:
    device = device_in(tmp_path)
    device.worker_died("killed", under_way=[s.Load("shelf", session(2))])
    assert device.failures.keys() == {s.WORKER}


def test_steps_that_share_a_subject_are_not_begun_together() -> None:
    load, unload = s.Load("a", session(1)), s.Unload("", session(1))
    assert startable([load, unload], []) == [load]
    assert startable([load], [unload]) == []
    assert startable([s.Wait("a", "why")], []) == []
    fetches = [s.Fetch("a", digest(number), "m", 1) for number in range(9)]
    assert len(startable(fetches, [])) == 4


def test_the_file_of_last_good_versions_is_written_by_one_step_at_a_time() -> None:
    steps = [s.Promote("a", deployment(1, "a")), s.Promote("b", deployment(1, "b")), s.Forget("c")]
    assert startable(steps, []) == steps[:1]
    assert startable(steps[1:], steps[:1]) == []


def test_the_loop_sleeps_until_time_alone_helps() -> None:
    assert sleep_s([], 1.0, capturing=False) is None
    assert sleep_s([s.Wait("a", "", until=3.0), s.Wait("a", "", until=9.0)], 1.0, capturing=False) == 2.0
    assert sleep_s([s.Wait("a", "", until=0.5)], 1.0, capturing=False) == 0.0
    assert sleep_s([], 1.0, capturing=True) == LOOK_S


@pytest.mark.parametrize("declared", [None, 4096])
async def test_a_pipeline_whose_raw_outputs_are_not_declared_does_not_start_and_says_why(
    tmp_path: Path, declared: int | None
) -> None:
    device = device_in(tmp_path)
    wanted = session()
    device.loaded[wanted.key] = Loaded(wanted, "stub", "cpu", "tensor")
    await carry_out(device, s.StartWorker("shelf"))
    await carry_out(device, s.StartCapture("shelf", "shelf"))
    pipeline = Pipeline(name="shelf", source="shelf", egress=Egress(tensor=declared))
    if declared is not None:
        await carry_out(device, s.StartPipeline("shelf", pipeline, wanted))
        return
    with pytest.raises(Refused, match=r"pipeline 'shelf': .* add egress: \{ tensor: BYTES \}"):
        await carry_out(device, s.StartPipeline("shelf", pipeline, wanted))
    assert device.pipelines == {}
