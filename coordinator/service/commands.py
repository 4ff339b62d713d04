"""`edge-coordinator install | uninstall`: the coordinator as a service of systemd, under a user of its own."""

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coordinator.errors import BadInput, Exit, Refused
from coordinator.service import files, systemd, unit

SYSTEM = Path("/")


def register(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    install = subparsers.add_parser("install", help="run the coordinator as a service of systemd")
    install.add_argument("--now", action="store_true", help="start it, too")
    install.add_argument("--print", action="store_true", help="only show the unit")
    install.add_argument("--program", type=Path, metavar="FILE", help="what the service runs (this edge-coordinator)")
    install.set_defaults(run=run_install)
    uninstall = subparsers.add_parser("uninstall", help="remove the service; its folder stays")
    uninstall.add_argument("--purge", action="store_true", help="remove the folder with keys, models, results, too")
    uninstall.set_defaults(run=run_uninstall)
    for parser in (install, uninstall):
        parser.add_argument("--root", type=Path, metavar="DIR", help="the folder of an image instead of this system")
        parser.set_defaults(dir=Path(unit.STATE))


def run_install(parsed: argparse.Namespace) -> int:
    """Write the service's files, make its folder, have systemd know it; again it changes only what is not so yet."""
    program: Path = parsed.program or files.installed_program()
    if parsed.print:
        print(files.file_text(unit.UNIT, program), end="")
        return Exit.DONE
    with _root(parsed, "install") as root:
        if root == SYSTEM:
            files.check_seen(program)
        _say("wrote", files.install(root, program), "all files are there already")
    new = not Path(unit.STATE, "coordinator.toml").exists()
    commands = unit.activation(str(program), new=new, now=parsed.now)
    if root != SYSTEM:
        print(f"nothing is started below --root: after the first boot of the image: {program} install --now")
    elif systemd.booted():
        systemd.run_all(commands)
        print(f"{unit.STATE} is the coordinator's folder, {unit.NAME}.service its service")
    else:
        print("systemd does not run here; where it does: " + " && ".join(" ".join(command) for command in commands))
    return Exit.DONE


def run_uninstall(parsed: argparse.Namespace) -> int:
    """Stop the service and remove what `install` wrote."""
    with _root(parsed, "uninstall") as root:
        running = root == SYSTEM and systemd.booted() and (root / unit.UNIT).exists()
        systemd.run_all(unit.STOP if running else ())
        _say("removed", files.uninstall(root, purge=parsed.purge), "nothing is installed")
        systemd.run_all(unit.FORGET if running else ())
    return Exit.DONE


@contextmanager
def _root(parsed: argparse.Namespace, command: str) -> Iterator[Path]:
    """Where files are written and removed.

    Raises:
        Refused: it is the system, and we are not root.
        BadInput: what the system says of a file.
    """
    root: Path = (parsed.root or SYSTEM).resolve()
    if root == SYSTEM and os.geteuid() != 0:
        full = f"edge-coordinator {command}"
        raise Refused(f"{full} changes this system: sudo {full}, or try it with --root DIR")
    try:
        yield root
    except OSError as error:
        raise BadInput(f"{error.filename or root}: {error.strerror}: nothing was changed there") from None


def _say(did: str, places: Iterable[Path], nothing: str) -> None:
    print("\n".join(f"{did} {place}" for place in places) or nothing)
