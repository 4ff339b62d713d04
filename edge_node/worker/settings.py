"""What the node's configuration says of workers, in their own terms, and whether this kernel can do it."""

from dataclasses import replace
from pathlib import Path

import msgspec

from edge_node.config import NodeConfig, WorkerSettings
from edge_node.errors import Refused
from edge_node.rungs import EngineSettings
from edge_node.sandbox.confinement import OFF, THREADS, Confined, Confinement
from edge_node.sandbox.limits import default_memory_mb
from edge_node.worker.liveness import Limits

PATIENCE = 4
"""times as long for a worker that has to wait for others"""

USB = Path("/dev/bus/usb")
"""Where delegates reach accelerators on the USB (a Coral); of use to a worker only where one is configured."""


def confinement_of(settings: WorkerSettings, models: Path, device_kb: int | None) -> Confinement:
    """The confinement of workers.

    Args:
        settings: the configuration's `[worker]`.
        models: the folder below which models lie.
        device_kb: the memory of this device, if it is known.
    """
    memory_mb = default_memory_mb(device_kb) if settings.memory_mb is None else settings.memory_mb
    return Confinement(settings.sandbox, (str(models.absolute()),), memory_mb)


def reaching(confinement: Confinement, engines: EngineSettings, forms: Path) -> Confinement:
    """The confinement of workers that also read what the rungs need: their libraries, and the compiled forms."""
    libraries = {rung.library for rung in engines.devices if rung.library.startswith("/")}
    usb = tuple(str(USB) for rung in engines.devices if rung.library)[:1]
    readable = (*confinement.readable, *sorted(libraries), str(forms.absolute()))
    return msgspec.structs.replace(confinement, readable=readable, writable=usb)


def limits_of(settings: WorkerSettings, rung_s: float = Limits.rung_s) -> Limits:
    """The time limits of workers; `rung_s` is `engines.hang_s`."""
    return Limits(busy_s=settings.infer_s, load_s=settings.load_s, rung_s=rung_s)


def held_to(confinement: Confinement, memory_mb: int | None) -> Confinement:
    """The confinement of a worker that may hold no more than this, and no more than any other; None: no less either."""
    if memory_mb is None:
        return confinement
    least = min(memory_mb, confinement.memory_mb) if confinement.memory_mb else memory_mb
    return msgspec.structs.replace(confinement, memory_mb=least)


def patient(limits: Limits) -> Limits:
    """The time limits of a worker that runs only when others do not want to."""
    return replace(
        limits,
        silence_s=PATIENCE * limits.silence_s,
        busy_s=PATIENCE * limits.busy_s,
        rung_s=PATIENCE * limits.rung_s,
        memory_name="the shadow's memory_mb",
    )


def sandbox_text(config: NodeConfig, support: Confined) -> str:
    """One line: what will hold this node's workers, and what will not.

    Raises:
        Refused: the configuration requires more than there is.
    """
    wanted = config.worker.sandbox
    threads = config.isolation == "thread"
    if wanted == "require" and (threads or support.missing):
        why = "isolation = thread has no sandbox" if threads else f"this kernel has {support.text}"
        raise Refused(f'worker.sandbox is "require", but {why}: correct that, or set it to "auto"')
    if threads:
        return THREADS
    return OFF if wanted == "off" else support.text
