"""What `doctor` recommends, decided from what it found. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.cli.trial import Trial
from edge_node.engine.around import Library
from edge_node.engine.installed import how_to_get
from edge_node.sandbox.confinement import Confined

OPTIONAL = "openvino"
"""The engine that a node can do without."""

LEAST_MEMORY_KB = 256 * 1024
LEAST_DISK_BYTES = 512 * 1024 * 1024
_UNCONFINED = {
    "Landlock": "a model that takes its worker over may read files of this user",
    "seccomp": "a model that takes its worker over may make connections and run programs",
}


@dataclass(frozen=True)
class Found:
    """What `doctor` found. `packages`: name → installed; `devices`: what this machine has beside its processor.

    `sandbox`: what the kernel has to confine workers with.
    """

    engines: Sequence[Trial]
    packages: Mapping[str, bool]
    devices: Sequence[str]
    memory_available_kb: int | None
    disk_free_bytes: int | None
    clock_synced: bool | None
    sandbox: Confined
    libraries: Sequence[Library] = ()
    """plugins and delegates that lie here"""


@dataclass(frozen=True)
class Advice:
    """What is missing and the exact command that gets it; `command` is empty where there is none."""

    missing: str
    command: str = ""


def advise(found: Found) -> list[Advice]:
    """What is missing, the most important first."""
    advice = [
        Advice(f"the engine {trial.engine}: {trial.error}", trial.remedy)
        for trial in found.engines
        if trial.error and trial.engine != OPTIONAL
    ]
    if not found.packages["av"]:
        advice.append(Advice("PyAV: no videos and no cameras", "pip install 'nearfield[camera]'"))
    if not found.packages["pillow"]:
        advice.append(Advice("Pillow: no photos and no image models", "pip install 'nearfield[image]'"))
    return [*advice, *_accelerators(found), *_sandbox(found), *_resources(found)]


def _accelerators(found: Found) -> list[Advice]:
    used = {accelerator for trial in found.engines for accelerator in trial.accelerators}
    advice = []
    if "NVIDIA GPU" in found.devices and "cuda" not in used:
        command = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
        advice.append(Advice("the NVIDIA GPU is not used by any engine", command))
    if "Coral Edge TPU" in found.devices and "edgetpu" not in {one.accelerator for one in found.libraries}:
        advice.append(Advice("libedgetpu, which runs models on the Coral Edge TPU", "sudo apt install libedgetpu1-std"))
    openvino = next((trial for trial in found.engines if trial.engine == OPTIONAL), None)
    if {"GPU", "NPU"} & set(found.devices) and openvino is not None and openvino.error:
        advice.append(Advice("OpenVINO, which runs models on Intel GPUs and NPUs", how_to_get(OPTIONAL)))
    return advice


def _sandbox(found: Found) -> list[Advice]:
    return [
        Advice(f"{missing}: {_UNCONFINED[missing.partition(' ')[0]]}; give the node a kernel of 5.13 or newer with it")
        for missing in found.sandbox.missing
    ]


def _resources(found: Found) -> list[Advice]:
    advice = []
    if found.memory_available_kb is not None and found.memory_available_kb < LEAST_MEMORY_KB:
        advice.append(Advice(f"memory: {found.memory_available_kb // 1024} MB available, a worker wants 256"))
    if found.disk_free_bytes is not None and found.disk_free_bytes < LEAST_DISK_BYTES:
        advice.append(
            Advice(f"disk: {found.disk_free_bytes // 2**20} MB free for models and the outbox, 512 are little")
        )
    if found.clock_synced is False:
        command = "sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true"
        advice.append(Advice("the clock is not synchronized: results will say so", command))
    return advice
