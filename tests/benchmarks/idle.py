"""What an agent costs that has nothing to do, and how soon it does something: a real coordinator, broker and node.

Idle: registered, connected, nothing deployed; proportional set size and processor time over a while, of the agent's own
process, from /proc. Restart: from the start of the agent's process to the first result that it announces, with a
deployed, proven model on its disk and the coordinator up.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from edge_node.errors import Unreachable
from edge_node.supervisor.control import ask_status
from edge_node.telemetry.system import pss_kb
from tests.benchmarks.figures import Figure
from tests.e2e.fleet import Child, Fleet, bundle, deployment, fleet, until

SETTLE_S = 8.0
SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


def measure(data: Path) -> list[Figure]:
    """Memory and processor of an idle agent, and the time to its first result after a restart."""
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        return []
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder)) as world:
        world.coordinate()
        source = f"shelf={data / 'video' / 'cockatoo.mp4'},loop=true"
        node = world.node(source)
        until(lambda: world.status().get("link", {}).get("connected"), "the node to be connected")
        time.sleep(SETTLE_S)
        memory, share = _idle(node.process.pid)
        restart = _restart(world, node, source, data)
    note = f"registered and connected, nothing deployed; over {SECONDS:.0f} s"
    return [
        Figure("idle", "agent, memory (PSS)", memory, "MB", "<= 40", note),
        Figure("idle", "agent, share of a core", share, "%", "<= 0.5", note),
        Figure("idle", "agent's start to first result", restart, "s", "", "proven model on disk, worker and capture"),
    ]


def _idle(pid: int) -> tuple[float, float]:
    """Megabytes, and percent of a core."""
    before, begun = _ticks(pid), time.monotonic()
    time.sleep(SECONDS)
    share = (_ticks(pid) - before) / TICKS / (time.monotonic() - begun)
    return (pss_kb(pid) or 0) / 1024, 100 * share


def _ticks(pid: int) -> int:
    """Processor time of a process, user and system (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _restart(world: Fleet, node: Child, source: str, data: Path) -> float:
    """Seconds from the start of the process to the first result in its status."""
    bundle(world, data, "mobilenet")
    world.run("edgectl", "model", "push", "mobilenet")
    world.run("edgectl", "deployment", "apply", str(deployment(world, "mobilenet-v2@1")))
    until(lambda: _results(world), "the first result")
    node.stop()
    begun = time.monotonic()
    world.node(source)
    until(lambda: _results(world), "the first result after the restart")
    return time.monotonic() - begun


def _results(world: Fleet) -> int:
    """Results that the agent has announced since it started, from its socket: `edge-node status` costs a process."""
    try:
        status = json.loads(ask_status(world.folder / "cam-3"))
    except Unreachable:
        return 0
    return sum(pipeline["results"] for pipeline in status["pipelines"])
