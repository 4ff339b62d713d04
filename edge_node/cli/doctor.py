"""`edge-node doctor`: what this device has, what is missing, and the command that gets it."""

import argparse
import importlib.util
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node import __version__
from edge_node.cli.table import table
from edge_node.errors import BadInput, Exit

if TYPE_CHECKING:
    from edge_node.cli.advice import Advice, Found

ENGINES = ("litert", "onnxruntime", "openvino")
DEVICES = {
    "camera": ("video*",),
    "NVIDIA GPU": ("nvidia[0-9]*",),
    "GPU": ("dri/renderD*",),
    "Coral Edge TPU": ("apex_*",),
    "NPU": ("accel/accel*",),
}
"""What a device file under /dev shows."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("doctor", help="what this device has, what is missing, how to get it")
    parser.add_argument("--state-dir", metavar="DIR", help="the node's state folder (~/.local/state/nearfield)")
    parser.add_argument("--json", action="store_true", help="as a JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, print, and fail if no engine works."""
    from edge_node.cli.advice import advise

    state = Path(arguments.state_dir) if arguments.state_dir else Path.home() / ".local" / "state" / "nearfield"
    found = look(state)
    advice = advise(found)
    if arguments.json:
        print(msgspec.json.encode(_document(found, advice, state)).decode())
    else:
        print(_text(found, advice, state))
    if not any(trial.works for trial in found.engines):
        raise BadInput("no engine works here, so no model can run: pip install 'nearfield[onnx,tflite]'")
    return Exit.DONE


def look(state: Path) -> "Found":
    """Everything that is read from this machine."""
    from edge_node.cli.advice import Found
    from edge_node.cli.trial import try_engine
    from edge_node.engine.around import libraries
    from edge_node.sandbox.support import support
    from edge_node.telemetry import system

    return Found(
        engines=[try_engine(engine) for engine in ENGINES],
        libraries=libraries(),
        packages={name: importlib.util.find_spec(module) is not None for name, module in _PACKAGES.items()},
        devices=[name for name, patterns in DEVICES.items() if any(any(Path("/dev").glob(one)) for one in patterns)],
        memory_available_kb=system.memory_available_kb(),
        disk_free_bytes=system.disk_free_bytes(state),
        clock_synced=system.clock_synced(),
        sandbox=support(),
    )


_PACKAGES = {"av": "av", "pillow": "PIL"}


def _document(found: "Found", advice: "list[Advice]", state: Path) -> dict[str, object]:
    from edge_node.telemetry import system

    return {
        "nearfield": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": system.cpu_model(),
        "cores": system.cores(),
        "memory_mb": (system.memory_kb() or 0) // 1024,
        "memory_available_mb": (found.memory_available_kb or 0) // 1024,
        "state_dir": str(state),
        "disk_free_mb": (found.disk_free_bytes or 0) // 2**20,
        "clock_synced": found.clock_synced,
        "devices": found.devices,
        "sandbox": found.sandbox,
        "packages": found.packages,
        "engines": found.engines,
        "libraries": found.libraries,
        "missing": advice,
    }


def _text(found: "Found", advice: "list[Advice]", state: Path) -> str:
    facts = _document(found, advice, state)
    clock = {True: "synchronized", False: "not synchronized", None: "the kernel does not say"}[found.clock_synced]
    lines = [
        f"nearfield {__version__}, Python {facts['python']}, {facts['machine']}",
        f"processor  {facts['processor']}, cores: {facts['cores']}",
        f"memory     {facts['memory_mb']} MB, {facts['memory_available_mb']} available",
        f"disk       {facts['disk_free_mb']} MB free for {state}",
        f"clock      {clock}",
        f"sandbox    {found.sandbox.text}; not with isolation = thread",
        f"devices    {', '.join(found.devices) or 'no cameras, no accelerators'}",
        "",
        _engines(found),
        *(
            f"{one.engine}/{one.accelerator} can be had of {one.path}:\n         {one.configuration}"
            for one in found.libraries
        ),
        "",
    ]
    return "\n".join([*lines, *map(_advice_line, advice)] if advice else [*lines, "Nothing is missing."])


def _engines(found: "Found") -> str:
    rows = [
        (trial.engine, "works" if trial.works else "does not work", trial.version, ", ".join(trial.accelerators))
        for trial in found.engines
    ]
    return table(("engine", "state", "version", "accelerators"), rows)


def _advice_line(advice: "Advice") -> str:
    return f"Missing: {advice.missing}" + (f"\n         {advice.command}" if advice.command else "")
