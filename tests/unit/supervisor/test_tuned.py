"""What `edge-node bench --tune --state-dir` has kept is how the agent serves a model, where nobody says otherwise."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_node.repository.found import find
from edge_node.repository.tuned import TunedWays, read_digest
from edge_node.repository.tuning import Way
from edge_node.rungs import Rung
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Session
from edge_node.supervisor.device import Device
from edge_node.supervisor.effects import offering_of, way_of
from edge_node.telemetry import system
from edge_node.worker.messages import NOTHING_KNOWN
from protos.deployment import Serving
from protos.digest import Digest
from tests.unit.supervisor.test_effects import RecordingWorker, carry_out, device_in, put

HERE = {"stub": "1"}
KEPT = Way("a.onnx", "stub", threads=2, instances=3, batch=4)


class SizedWorker(RecordingWorker):
    """A worker that remembers with how many threads and instances it was to load each variant."""

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
        self.told.append(f"load {variant}: {instances} of {threads}")
        return 1.0


async def tuned(folder: Path, way: Way, engines: Mapping[str, str] = HERE) -> tuple[Device, Digest]:
    """A device whose bundle was tuned as the command does it, from its files; proven, with a worker."""
    device = device_in(folder, SizedWorker)
    bundle = put(device)
    await carry_out(device, s.Verify("d", bundle, "m", 1), s.Prove("d", bundle, None), s.StartWorker("d"))
    (found,) = find((device.bundles.folder(bundle),))
    ways = TunedWays(folder / "tuned.json").load(system.hardware(), engines)
    ways.keep(read_digest(found.folder, found.files), way, 2.0, 50.0, "twice as fast")
    device.tuned = TunedWays(folder / "tuned.json").load(system.hardware(), HERE)
    return device, bundle


async def loaded(device: Device, session: Session) -> str:
    await carry_out(device, s.Load("d", session))
    assert isinstance(device.worker, SizedWorker)
    return device.worker.told[-1]


async def test_a_model_is_loaded_and_batched_as_it_was_tuned(tmp_path: Path) -> None:
    device, bundle = await tuned(tmp_path, KEPT)
    session = Session("m", 1, bundle, "a.onnx", Serving())
    assert await loaded(device, session) == "load a.onnx: 3 of 2"
    assert offering_of(session, way_of(device, session)).batching.max_batch == 4


@pytest.mark.parametrize(
    ("way", "serving", "engines", "expected"),
    [
        pytest.param(KEPT, None, HERE, "load a.onnx: 1 of 1", id="nobody is served"),
        pytest.param(KEPT, Serving(instances=5), HERE, "load a.onnx: 5 of 1", id="the deployment says how many"),
        pytest.param(Way("b.onnx", "stub", 2, 3, 4), Serving(), HERE, "load a.onnx: 1 of 1", id="another variant"),
        pytest.param(KEPT, Serving(), {"stub": "0"}, "load a.onnx: 1 of 1", id="another version of the engine"),
    ],
)
async def test_it_is_not_where_somebody_says_otherwise_or_something_else_was_tuned(
    tmp_path: Path, way: Way, serving: Serving | None, engines: Mapping[str, str], expected: str
) -> None:
    device, bundle = await tuned(tmp_path, way, engines)
    assert await loaded(device, Session("m", 1, bundle, "a.onnx", serving)) == expected
