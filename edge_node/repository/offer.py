"""How a loaded session comes to answer clients: the serving process is told, the worker opens the lane.

    await offer(serving, worker, lanes, Offering("m", "1", "m@1/1", platform="litert_tflite"))

The serving process counts a session as served when both have happened, in either order. A session that it knows and
whose worker has died only needs its lane again.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from edge_node.serving.client import ServingFailed, ServingProcess
from edge_node.serving.control import Batching
from edge_node.worker.messages import LaneOptions, LaneState, Worker

SUFFIX_PLATFORMS = {".onnx": "onnxruntime_onnx", ".tflite": "litert_tflite"}
"""What metadata calls the kind of a model file; Triton's names where it has one."""


@dataclass(frozen=True)
class Offering:
    """A version of a model, and the session that answers for it."""

    model: str
    version: str
    session: str
    platform: str
    batching: Batching = field(default_factory=Batching)
    labelled: str = ""
    labels: tuple[str, ...] = ()
    """of the output `labelled`, where no bundle says it"""
    states: tuple[LaneState, ...] = ()
    """where no bundle says them"""
    sequence_idle_s: float = 0.0
    """0: as long as without a word"""


def platform_of(file: str) -> str:
    """What metadata calls the kind of a model file."""
    return next((name for suffix, name in SUFFIX_PLATFORMS.items() if file.lower().endswith(suffix)), "")


def lane_options(wanted: Offering) -> LaneOptions:
    """How the session's worker is to answer."""
    most = wanted.batching.max_batch or LaneOptions().max_batch
    return LaneOptions(
        max_batch=most,
        labelled=wanted.labelled,
        labels=wanted.labels,
        states=wanted.states,
        sequence_idle_s=wanted.sequence_idle_s or LaneOptions().sequence_idle_s,
    )


async def offer(serving: ServingProcess, worker: Worker, lanes: str, wanted: Offering, *, known: bool = False) -> None:
    """Have clients answered from a session; returns when they are.

    Args:
        serving: the serving process.
        worker: holds the session.
        lanes: the path that workers reach the serving process by.
        wanted: the session, and what it answers for.
        known: the serving process has been told of it; only its lane is missing.

    Raises:
        WorkerFailed, ServingFailed: one of the two cannot, or died on it.
    """
    opening = worker.open_lane(wanted.session, lanes, lane_options(wanted))
    if known:
        await opening
        return
    telling = asyncio.ensure_future(
        serving.serve(wanted.model, wanted.version, wanted.session, wanted.platform, wanted.batching)
    )
    try:
        await opening
        await telling
    except BaseException:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        with suppress(ServingFailed):  # then it knows of nothing any more
            await serving.withdraw(wanted.session)
        raise
