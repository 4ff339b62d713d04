"""Promise U3: a bad version goes back by itself, with its reason, and is not tried again; the last good one serves.

Real models, a real worker and a real capture; no coordinator is needed for any of it.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_node.config import Source
from protos.digest import Digest
from protos.evidence import Trial
from tests.conformance.worker_world import stub_bundle
from tests.integration import bad_models
from tests.integration.killed_node import CRASHES_AT, TRIAL, killed_node
from tests.integration.trial_world import TrialNode

pytestmark = pytest.mark.timeout(120)

FPS = 25.0
Make = Callable[[Path], Path]
STEADY = {"delay_ms": 4.0}


def crashing_at_load(folder: Path) -> Path:
    return stub_bundle(folder, crash_from=0)


def crashing_at_a_frame(folder: Path) -> Path:
    return stub_bundle(folder, **STEADY, crash_from=CRASHES_AT)


def leaking(folder: Path) -> Path:
    return stub_bundle(folder, **STEADY, grow_mb=0.4)


def slow(folder: Path) -> Path:
    return stub_bundle(folder, delay_ms=20.0)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TrialNode]:
    made = TrialNode(tmp_path, Source(str(bad_models.film(tmp_path / "film")), fps=FPS, loop=True))
    made.start()
    yield made
    await made.stop()


def steady(folder: Path) -> Path:
    return stub_bundle(folder, **STEADY)


async def serving_a_good_one(node: TrialNode, make: Make = bad_models.good) -> None:
    digest = node.put(make(node.folder / "good"), 1)
    node.want(1, digest)
    await node.serves(1)
    await node.until(lambda: "shelf" in node.device.last_good)


@pytest.mark.parametrize(
    ("good", "bad", "reason", "trial", "strategy"),
    [
        (steady, crashing_at_load, "SIGSEGV", TRIAL, "switch_when_ready"),
        (steady, crashing_at_a_frame, "SIGSEGV", TRIAL, "switch_when_ready"),
        (bad_models.good, bad_models.endless, "it hung", TRIAL, "switch_when_ready"),
        (steady, leaking, "memory grows without end", TRIAL, "switch_when_ready"),
        (bad_models.good, bad_models.not_a_number, "no numbers", TRIAL, "switch_when_ready"),
        (bad_models.good, bad_models.another_shape, "2 scores for 4 labels", TRIAL, "switch_when_ready"),
        (bad_models.good, bad_models.another_shape, "2 scores for 4 labels", None, "stop_first"),
        (steady, slow, "where the version before took", TRIAL, "switch_when_ready"),
        (steady, slow, "where the version before took", None, "switch_when_ready"),
        (bad_models.good, bad_models.disagreeing, "agreement", TRIAL, "switch_when_ready"),
    ],
)
async def test_a_bad_version_goes_back_by_itself_with_its_reason_and_is_not_tried_again(
    node: TrialNode, good: Make, bad: Make, reason: str, trial: Trial | None, strategy: str
) -> None:
    await serving_a_good_one(node, good)
    node.want(2, node.put(bad(node.folder / "bad"), 2), trial=trial, strategy=strategy)
    await node.until(lambda: node.state() == "returned")
    await node.serves(1)
    await node.until(lambda: node.report().serving_version == 1)
    said = node.report()
    assert reason in said.reason
    assert (said.phase, said.serving_version) == ("failed", 1)
    assert trial is None or (said.trial is not None and said.trial.state == "returned" and reason in said.trial.reason)
    deaths = node.device.worker_deaths
    node.answers.clear()
    await asyncio.sleep(2)
    assert set(node.answers) == {1}
    assert node.device.worker_deaths == deaths <= 2, "never a restart loop"
    assert node.device.last_good["shelf"].version == 1


@pytest.mark.parametrize("state", ["on", "returned"])
async def test_a_node_that_is_killed_while_a_bad_version_is_on_trial_ends_with_the_last_good_one(
    tmp_path: Path, state: str
) -> None:
    """kill -9, then a start without a coordinator: what was sent back is not tried again, what was not is found out."""
    command = (sys.executable, "-m", "tests.integration.killed_node", str(tmp_path))
    first = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert first.stdout is not None
    bad = ""
    async with asyncio.timeout(60):
        while not bad:
            said = (await first.stdout.readline()).decode().split()
            bad = said[1] if said[0] == state else ""
    first.kill()
    await first.wait()
    again = killed_node(tmp_path)
    again.start()
    again.want(2, Digest(bad), trial=TRIAL)
    try:
        await again.until(lambda: again.state() == "returned")
        await again.serves(1)
        assert again.report().phase == "failed"
        assert "SIGSEGV" in again.report().reason
        assert again.device.worker_deaths == (0 if state == "returned" else 2)
    finally:
        await again.stop()
