"""A node whose disk is full, and one whose clock is wrong: it works on, and says what it had to give up."""

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import deployment, fleet, serving_node, until
from tests.e2e.recorder import stored

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(120)]

DISK_MB = 80
"""Models are fetched only where they leave 64 MB free."""
IN_1970 = ("FAKETIME=@1970-01-01 00:10:00", "FAKETIME_DONT_FAKE_MONOTONIC=1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The node's state folder on a file system of its own."""
    folder = tmp_path / "cam-3"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**16))
    return ballast


def holes(results: Path) -> dict[str, int]:
    """How many results the store says were given up, by reason."""
    with contextlib.closing(sqlite3.connect(f"file:{results}?mode=ro", uri=True)) as file:
        return dict(file.execute("SELECT reason, sum(last - first + 1) FROM holes GROUP BY reason").fetchall())


def test_with_a_full_disk_live_results_go_on_and_what_was_dropped_is_told(tmp_path: Path, small_disk: Path) -> None:
    """Given a full disk, when results come, then they are live and counted; when there is space again, told."""
    with fleet(tmp_path) as world:
        world.coordinate()
        node = serving_node(world)
        ballast = fill(small_disk)
        until(lambda: world.status()["outbox"]["dropped"].get("disk_full", 0) > 20, "results to be dropped")
        live = world.subscribe("edge/v1/live/store-12/cam-3/shelf", "-C", "5", "-W", "20")
        assert len(live) == 5
        assert "dropped (disk_full)" in world.run("edge-node", "status", "--state-dir", str(small_disk))
        changed = deployment(world, "inspection@1")
        changed.write_text(changed.read_text(encoding="utf-8").replace("source: shelf", "source: shelf\n    top_k: 2"))
        world.run("edgectl", "deployment", "apply", str(changed))
        until(lambda: world.status()["revision"] == 3, "the new document to be followed")
        assert "cannot be kept" in node.output()
        ballast.unlink()
        results = tmp_path / "coord" / "results.db"
        until(lambda: holes(results).get("disk_full", 0) > 20, "the tombstone in the store")
        dropped = world.status()["outbox"]["dropped"]["disk_full"]
        until(lambda: world.status()["outbox"]["waiting"] < 20, "the outbox to be empty again")
        assert holes(results) == {"disk_full": dropped}
        numbers = sorted(json.loads(event)["data"]["seq"] for event in stored(results))
        assert len(numbers) + dropped >= numbers[-1], "every number is a result or a told hole"
        assert node.stop() == 0
        assert "Traceback" not in node.output()


@pytest.mark.needs("faketime")
def test_a_node_in_1970_works_and_its_results_are_kept(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        node = serving_node(world, under=("env", f"LD_PRELOAD={library}", *IN_1970))
        until(lambda: world.status()["outbox"]["acked"] > 20, "results in the store")
        events = [json.loads(event) for event in stored(tmp_path / "coord" / "results.db")]
        assert events[0]["time"].startswith("1970-01-01T00:1")
        assert {event["data"]["clock"] for event in events} == {"unsynced"}
        assert "1970" in world.run("edgectl", "results", "query", "--node", "cam-3", "--limit", "1", "--json")
        assert world.status()["pipelines"][0]["p95_ms"] > 0
        assert node.stop() == 0
        assert "Traceback" not in node.output()
