"""`edgectl model init`: a bundle from raw model files.

Reading a model needs an engine, which the coordinator does not have: the work is `edge-node bundle init`, run as a
child process with the same options.
"""

import re
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
    command = [agent(), "bundle", "init", *context.args]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    sys.stderr.write(as_ours(done.stderr))
    raise typer.Exit(done.returncode)


def as_ours(said: str) -> str:
    """What the child says, under the name of the command that was typed."""
    return re.sub(rf"^{AGENT}( bundle init)?(?=:)", "edgectl model init", said, flags=re.MULTILINE).replace(
        f"{AGENT} bundle init --help", "edgectl model init --help"
    )


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
