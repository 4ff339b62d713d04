"""`edgectl model init | evaluate | quantize`: what needs an engine, which the coordinator does not have.

The work is `edge-node bundle`, run as a child process with the same options.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import typer

from coordinator.errors import NotFound

AGENT = "edge-node"
COMMANDS = {
    "init": "Make a bundle from .tflite and .onnx files of one network.",
    "evaluate": "Accuracy and latency of a bundle's variants on labelled samples, as a table, JSON and a page.",
    "quantize": "Add an INT8 variant of a bundle's float .onnx model, and compare it with the original.",
}


def mount(models: typer.Typer) -> None:
    """Add the commands to `edgectl model`; their options and their help are those of `edge-node bundle`."""
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    for name, what in COMMANDS.items():
        models.command(name, help=what, context_settings=passed_on, add_help_option=False)(run)


def run(context: typer.Context) -> None:
    """Have the node's command do it."""
    name = context.info_name or ""
    command = [agent(), "bundle", name, *context.args]
    if sys.stderr.isatty():  # its progress is for people: it needs the terminal itself
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    sys.stderr.write(as_ours(done.stderr, name))
    raise typer.Exit(done.returncode)


def as_ours(said: str, name: str) -> str:
    """What the child says, under the name of the command that was typed."""
    return re.sub(rf"^{AGENT}( bundle {name})?(?=:)", f"edgectl model {name}", said, flags=re.MULTILINE).replace(
        f"{AGENT} bundle {name} --help", f"edgectl model {name} --help"
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
