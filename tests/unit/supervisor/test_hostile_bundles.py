"""A bundle that is hostile never meets a worker: its deployment fails, and the reason is what the node reports."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.supervisor.plan import plan
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.reported import phase_of
from edge_node.supervisor.steps import Verify
from tests.unit.supervisor import test_effects
from tests.unit.supervisor.test_effects import RecordingWorker, device_in, put
from tests.unit.supervisor.world import FACTS, deployment, desired

HOSTILE = test_effects.MODEL.replace(b'file = "b.onnx", engine = "stub"', b'file = "b.onnx", engine = "onnxruntime"')
"""Its second variant is no model at all."""


async def test_a_hostile_bundle_fails_its_deployment_and_starts_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_effects, "MODEL", HOSTILE)
    started: list[RecordingWorker] = []

    def new_worker() -> RecordingWorker:
        started.append(RecordingWorker())
        return started[-1]

    device = device_in(tmp_path, new_worker)
    bundle = put(device)
    target = deployment(name="d", digest=bundle, model="m")
    loop = Reconciler(device, lambda: desired(target), lambda: FACTS, lambda: None)
    step = Verify("d", bundle, "m", 1)
    loop.under_way.append(step)
    await loop._carry_out(step)

    assert bundle not in device.verified
    assert started == []
    now = replace(FACTS, now=device.clock())
    phase, reason = phase_of(target, device.actual(), plan(desired(target), device.actual(), now))
    assert phase == "failed"
    assert "b.onnx is not an ONNX model, or it is truncated" in reason
