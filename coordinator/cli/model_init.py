"""`edgectl model init`: a bundle from raw model files.

Reading a model needs an engine, which the coordinator does not have: the work is `edge-node bundle init`, run as a
child process with the same options.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import typer

from coordinator.errors import NotFound

AGENT = "edge-node"


def mount(models: typer.Typer) -> None:
    """Add the command to `edgectl model`; its options and its help are those of `edge-node bundle init`."""
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    models.command("init", context_settings=passed_on, add_help_option=False)(init)


def init(context: typer.Context) -> None:
    """Make a bundle from .tflite and .onnx files of one network (runs `edge-node bundle init`)."""
    raise typer.Exit(subprocess.run([agent(), "bundle", "init", *context.args], check=False).returncode)


def agent() -> str:
    """The path of the node's command: beside this Python, else on the PATH.

    Raises:
        NotFound: it is not installed here.
    """
    beside = Path(sys.executable).with_name(AGENT)
    found = str(beside) if beside.is_file() else shutil.which(AGENT)
    if found is None:
        raise NotFound(f"{AGENT} is not installed here, and reading a model needs it: pip install 'nearfield[node]'")
    return found
