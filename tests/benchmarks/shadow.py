"""What a shadow costs the current version: its latencies with a candidate beside it ÷ those without, in turns.

A node's device with real processes looks at the 1280 x 720 clip at its 20 frames a second with one file of MobileNetV2;
the other file runs beside it with the budget that a shadow has unless told otherwise.
"""

import asyncio
import os
import tempfile
from collections import defaultdict
from pathlib import Path

from edge_node.config import Source
from edge_node.pipeline.observation import Observation
from edge_node.worker.messages import Worker
from protos.evidence import Shadow, merged
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.worked import MODELS, bundle_of
from tests.integration.shadow_world import Node, node
from tests.waiting import until

ROUNDS = 4
SECONDS = 12.0
SETTLE_S = 2.0
GOAL = "<= 1.2"

Times = dict[str, list[float]]


def measure(data: Path) -> list[Figure]:
    """Ratios of the medians and of the 95th percentiles, of the work on a frame and from its capture on."""
    return asyncio.run(_measured(data))


async def _measured(data: Path) -> list[Figure]:
    _before_others()
    labels = data / "models" / "imagenet_labels.txt"
    ratios: dict[str, list[float]] = defaultdict(list)
    clip = Source(str(data / "video" / "cockatoo.mp4"), loop=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, two = (bundle_of(data / "models" / file, labels, folder / Path(file).suffix[1:]) for file in MODELS)
        async with node(folder, clip) as looking:
            looking.current = looking.put(one, 1)
            compared = 0
            for _ in range(ROUNDS):
                looking.want(looking.current)
                without = await _times(looking)
                looking.want(looking.current, Shadow("r1", "m", 2, looking.put(two, 2), report_s=1.0))
                await until(lambda: bool(looking.device.shadows.runs) and bool(looking.run.follows), "the shadow")
                _gives_way(looking.run.worker)
                beside = await _times(looking)
                told = looking.told()
                compared += 0 if told is None else merged(told.evidence).compared
                for what, times in without.items():
                    for percent in (50, 95):
                        ratio = percentile(beside[what], percent) / percentile(times, percent)
                        ratios[f"{what} p{percent}"].append(ratio)
    note = f"median of {ROUNDS} turns of {SECONDS:.0f} s; {compared} frames compared"
    return [
        Figure("shadow", f"{name}, with ÷ without", median(each), "x", GOAL if "p95" in name else "", note)
        for name, each in ratios.items()
    ]


async def _times(looking: Node) -> Times:
    """Milliseconds of every frame of a turn."""
    await looking.serves()
    await asyncio.sleep(SETTLE_S)
    begun = len(looking.seen)
    await asyncio.sleep(SECONDS)
    return {
        "work": [_work_ms(seen) for seen in looking.seen[begun:]],
        "capture to result": [_work_ms(seen) + seen.latency_ms.queue for seen in looking.seen[begun:]],
    }


def _is_realtime() -> bool:
    return os.sched_getscheduler(0) == os.SCHED_RR


def _before_others() -> None:
    """With `--realtime` nice values mean nothing: what gives way runs at the lower of two priorities instead."""
    if _is_realtime():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))


def _gives_way(worker: Worker | None) -> None:
    if _is_realtime() and worker is not None:
        for thread in Path(f"/proc/{worker.pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def _work_ms(seen: Observation) -> float:
    took = seen.latency_ms
    return took.preprocess + took.infer + took.postprocess
