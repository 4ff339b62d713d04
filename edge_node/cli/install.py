"""`edge-node install | uninstall`: the agent as a service of systemd, under a user of its own."""

import argparse
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_node.errors import BadInput, Exit, Refused, WrongUsage
from protos.identity import NAME_RULE, is_name

SYSTEM = Path("/")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    install = subparsers.add_parser("install", help="run the agent as a service of systemd")
    install.add_argument("--name", default="", help="what the device would like to be called (as its host is)")
    install.add_argument("--usb", action="store_true", help="let it use accelerators on the USB (Coral)")
    install.add_argument("--now", action="store_true", help="start it, too")
    install.add_argument("--print", action="store_true", help="only show the unit")
    install.add_argument("--program", type=Path, metavar="FILE", help="the edge-node that the service runs (this one)")
    install.set_defaults(run=run_install)
    uninstall = subparsers.add_parser("uninstall", help="remove the service; its state and configuration stay")
    uninstall.add_argument("--purge", action="store_true", help="remove identity, results, models, configuration, too")
    uninstall.set_defaults(run=run_uninstall)
    for parser in (install, uninstall):
        parser.add_argument("--root", type=Path, metavar="DIR", help="the folder of an image instead of this system")


def run_install(arguments: argparse.Namespace) -> int:
    """Write the service's files and have systemd know them; again it changes only what is not so yet."""
    from edge_node.service import files, systemd, unit

    program: Path = arguments.program or files.installed_program()
    if arguments.print:
        print(files.file_text(unit.UNIT, program), end="")
        return Exit.DONE
    with _root(arguments, "install") as root:
        if root == SYSTEM:
            files.check_seen(program)
        written = files.install(root, program, usb=arguments.usb, config=unit.first_config(_name(arguments, root)))
        _say("wrote", written, "all files are there already")
        if not arguments.usb:
            _say("removed", files.forbid_usb(root))
    commands = unit.activation(now=arguments.now)
    if root != SYSTEM:
        print(
            "nothing is started below --root: the image makes the user and the folders when it boots, and starts the "
            f"service after systemctl --root={root} enable edge-node"
        )
    elif systemd.booted():
        systemd.run_all(commands)
        print(f"next: {unit.next_step(program, enrolled=Path(unit.IDENTITY).exists(), now=arguments.now)}")
    else:
        print("systemd does not run here; where it does: " + " && ".join(" ".join(command) for command in commands))
    return Exit.DONE


def run_uninstall(arguments: argparse.Namespace) -> int:
    """Stop the service and remove what `install` wrote."""
    from edge_node.service import files, systemd, unit

    with _root(arguments, "uninstall") as root:
        running = root == SYSTEM and systemd.booted() and (root / unit.UNIT).exists()
        systemd.run_all(unit.STOP if running else ())
        _say("removed", files.uninstall(root, purge=arguments.purge), "nothing is installed")
        systemd.run_all(unit.FORGET if running else ())
    return Exit.DONE


@contextmanager
def _root(arguments: argparse.Namespace, command: str) -> Iterator[Path]:
    """Where files are written and removed.

    Raises:
        Refused: it is the system, and we are not root.
        BadInput: what the system says of a file.
    """
    root: Path = (arguments.root or SYSTEM).resolve()
    if root == SYSTEM and os.geteuid() != 0:
        raise Refused(f"edge-node {command} changes this system: sudo edge-node {command}, or try it with --root DIR")
    try:
        yield root
    except OSError as error:
        raise BadInput(f"{error.filename or root}: {error.strerror}: nothing was changed there") from None


def _name(arguments: argparse.Namespace, root: Path) -> str:
    """What the device would like to be called; an image is of many devices and says nothing by itself."""
    given: str = arguments.name
    if given and not is_name(given):
        raise WrongUsage(f"--name {given!r} is not a name: use {NAME_RULE}")
    host = platform.node().partition(".")[0].lower()
    return given or (host if root == SYSTEM and is_name(host) else "")


def _say(did: str, places: Iterable[Path], nothing: str = "") -> None:
    if said := "\n".join(f"{did} {place}" for place in places) or nothing:
        print(said)
