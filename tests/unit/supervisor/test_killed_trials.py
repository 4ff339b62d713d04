"""Promise U1 for trials: wherever the agent is killed, after its restart the node runs exactly the old version or the
new one, and what was sent back stays so. The files are real; a kill is that nobody goes on with the device.
"""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from edge_node.store.release import Papers
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.device import Device
from edge_node.supervisor.effects import EFFECTS
from edge_node.supervisor.plan import plan
from edge_node.supervisor.steps import Wait
from edge_node.supervisor.verdict import Verdict
from protos.desired import Desired
from protos.digest import Digest, digest_of
from protos.evidence import Trial
from protos.oci import BundleFile, write_manifest
from tests.unit.protos.signed import release, sealed_release
from tests.unit.supervisor.test_effects import device_in
from tests.unit.supervisor.world import deployment, desired

NOW = 100.0
FACTS = Facts(now=NOW, sources=frozenset({"shelf"}), quota_bytes=2**20)
HEALTHY = Facts(now=NOW + 60.0, sources=frozenset({"shelf"}), quota_bytes=2**20)
TRIAL = Trial("r1", healthy_s=60.0)


@dataclass
class Story:
    """What happens, in order: a document, the time, and whether the version on trial has shown a fault."""

    wanted: Desired
    facts: Facts
    fault: bool = False


def put(device: Device, version: int) -> Digest:
    """A version in the store, released."""
    model = b'name = "m"\ntask = "anomaly"\nvariants = [{file = "a.onnx", engine = "stub"}]\n# %d\n' % version
    bodies = {"model.toml": model, "a.onnx": b"a"}
    manifest = write_manifest(BundleFile(name, digest_of(body), len(body)) for name, body in bodies.items())
    digest = digest_of(manifest)
    device.bundles.add(digest, manifest)
    for body in bodies.values():
        device.bundles.blobs.put(digest_of(body), body)
    device.releases.papers.keep(digest, Papers((sealed_release(release(digest, "m", version)),)))
    device.rescan()
    return digest


@dataclass
class Versions:
    """A folder with both versions in its store, made once: it is copied for each kill."""

    folder: Path
    old: Digest
    new: Digest

    def device(self, name: str) -> Device:
        """A device on a copy of the folder."""
        return device_in(Path(shutil.copytree(self.folder, self.folder.with_name(name))))


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    folder = tmp_path_factory.mktemp("versions") / "both"
    device = device_in(folder)
    return Versions(folder, put(device, 1), put(device, 2))


def story(versions: Versions, *, strategy: str, ends: str) -> Iterator[Story]:
    """Version 1 serves; version 2 comes on trial, and passes and is completed, or shows a fault and goes back."""
    first = deployment(1, digest=versions.old, strategy=strategy)
    second = deployment(2, digest=versions.new, strategy=strategy)
    on_trial = desired(msgspec.structs.replace(second, trial=TRIAL))
    yield Story(desired(first), FACTS)
    yield Story(on_trial, FACTS)
    if ends == "fault":
        yield Story(on_trial, FACTS, fault=True)
        yield Story(desired(first), HEALTHY)
        return
    yield Story(on_trial, HEALTHY)
    yield Story(desired(second), HEALTHY)


async def settle(device: Device, told: Story, steps_left: Iterator[int]) -> bool:
    """Carry out the plan until it rests; False where the kill comes first."""
    if told.fault:
        for _ in range(2):
            device.measuring.died("shelf", told.wanted.deployments[0].digest)
    while steps := [step for step in plan(told.wanted, device.actual(), told.facts) if not isinstance(step, Wait)]:
        if next(steps_left, None) is None:
            return False
        await EFFECTS[type(steps[0])](device, steps[0])
    return True


def serving(device: Device) -> int:
    """The version that the pipeline runs on."""
    return device.pipelines["shelf"].session.version


@pytest.mark.parametrize("strategy", ["switch_when_ready", "stop_first"])
@pytest.mark.parametrize("ends", ["fault", "completed"])
async def test_wherever_the_agent_is_killed_the_old_version_or_the_new_one_serves_after_it(
    versions: Versions, strategy: str, ends: str
) -> None:
    for kill_at in itertools.count(0):
        name = f"{strategy} {ends} {kill_at}"
        device, steps_left = versions.device(name), iter(range(kill_at))
        told = []
        for told_now in story(versions, strategy=strategy, ends=ends):
            told.append(told_now)
            if not await settle(device, told_now, steps_left):
                break
        else:
            assert kill_at > 12, "the story has many steps"
            assert serving(device) == (1 if ends == "fault" else 2)
            return
        await check_after_the_kill(
            versions.folder.with_name(name), told, returned="shelf" in device.verdicts and is_back(device)
        )


def is_back(device: Device) -> bool:
    return device.verdicts["shelf"].state == "returned"


async def check_after_the_kill(folder: Path, told: list[Story], *, returned: bool) -> None:
    """A new agent on the same folder, told the same, serves; what was sent back is not tried again."""
    device, now = device_in(folder), told[-1]
    assert ("shelf" in device.verdicts and is_back(device)) == returned
    after = Story(now.wanted, now.facts)
    assert await settle(device, after, itertools.count())
    wanted = now.wanted.deployments[0].version
    assert serving(device) == (1 if returned else wanted)
    assert len(device.sessions) == 1
    good = device.last_good["shelf"]
    assert good.digest in device.bundles.complete(), "the last good version is always kept"
    assert good.trial is None
    if now.wanted.deployments[0].trial is not None and len(told) > 1:
        assert good.version == 1, "a trial promotes nothing"


async def test_a_verdict_that_cannot_be_kept_counts_all_the_same(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = versions.device("full")
    first, on_trial, back, _ = story(versions, strategy="switch_when_ready", ends="fault")
    for told in (first, on_trial):
        await settle(device, told, itertools.count())
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(device.verdict_file, "save", lambda _: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="No space left"):
        await settle(device, back, itertools.count())
    assert is_back(device)
    assert await settle(device, Story(back.wanted, FACTS), itertools.count())
    assert serving(device) == 1


def test_the_steps_of_a_verdict_read_as_a_line() -> None:
    step = s.Judge("shelf", Verdict(digest_of(b""), 0, "returned", "it hung"))
    assert str(step) == "judge deployment shelf: returned: it hung"
    assert str(s.Judge("shelf", None)) == "judge deployment shelf: no verdict any more"
