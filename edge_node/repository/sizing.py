"""How many instances of a model are loaded, of how many threads. Pure.

By default as many one-thread instances as the device has cores: they hold their throughput where one session of
several threads collapses under foreign load. A large model gets fewer, so that its copies leave memory to others. What
tuning has chosen on this device counts where neither a person nor the model's configuration says anything.
"""

from dataclasses import dataclass

from edge_node.repository.found import Found
from edge_node.repository.triton_config import TritonConfig
from edge_node.repository.tuned import KeptWay
from edge_node.serving.control import Batching

MOST_INSTANCES = 64
MEMORY_SHARE = 0.25
"""of the device's memory, for all instances of one model"""
GROWTH = 2.0
"""A loaded model, divided by its files."""


@dataclass(frozen=True)
class Asked:
    """What whoever started serving said; None: nothing."""

    instances: int | None = None
    threads: int | None = None
    max_batch: int | None = None
    variant: str | None = None


@dataclass(frozen=True)
class Device:
    """What the device has."""

    cores: int
    memory_kb: int | None


@dataclass(frozen=True)
class Sizing:
    """How a model is loaded and queued."""

    instances: int
    threads: int
    batching: Batching
    why: str = ""
    """`tuned: …`, where it is"""
    variant: str = ""
    """of a bundle, that it is tuned for"""
    engine: str = ""
    """that it is tuned for"""


def sizing_of(found: Found, asked: Asked, device: Device, tuned: KeptWay | None = None) -> Sizing:
    """How a model is loaded: as was asked, else as its own configuration says, else as tuned, else by the device."""
    if tuned is not None and asked == Asked(variant=asked.variant) and found.config == TritonConfig():
        way = tuned.way
        return Sizing(way.instances, way.threads, Batching(max_batch=way.batch), tuned.text, way.variant, way.engine)
    threads = asked.threads or 1
    instances = asked.instances or found.config.instances or _fitting(found, threads, device)
    batching = found.config.batching
    if asked.max_batch is not None:
        batching = Batching(max_batch=asked.max_batch)
    return Sizing(min(instances, MOST_INSTANCES), threads, batching)


def _fitting(found: Found, threads: int, device: Device) -> int:
    by_cores = max(1, device.cores // threads)
    if device.memory_kb is None:
        return by_cores
    size_kb = max(1.0, sum(size for size, _, _ in found.stamp) * GROWTH / 1024)
    return max(1, min(by_cores, int(device.memory_kb * MEMORY_SHARE / size_kb)))
