"""The service manager of this machine: whether it runs, and commands for it. What to run is decided in `unit.py`."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from edge_node.errors import NearfieldError
from edge_node.service.unit import Command

BOOTED = Path("/run/systemd/system")
"""There where systemd runs the system: sd_booted(3)."""


def booted() -> bool:
    """Whether systemd runs this system."""
    return BOOTED.is_dir()


def run_all(commands: Iterable[Command]) -> None:
    """Run commands one after the other.

    Raises:
        NearfieldError: one is missing or fails, with its last line.
    """
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NearfieldError(f"{command[0]} is missing: install the package systemd") from None
        if done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise NearfieldError(f"{' '.join(command)}: {said}")
