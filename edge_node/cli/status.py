"""`edge-node status`: what the agent does now, what it waits for and why."""

import argparse
import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.config import default_state_dir
from edge_node.errors import Exit, Unreachable, WrongUsage
from edge_node.service.unit import STATE


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("status", help="what the agent does now, what it waits for and why")
    parser.add_argument("--state-dir", type=Path, metavar="D", help="the node's state folder")
    parser.add_argument("--name", help="the node's name, where its state folder is in the usual place")
    parser.add_argument("--json", action="store_true", help="the whole document (docs/reference/node.md)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the agent and print its answer."""
    document = _document(arguments.state_dir, arguments.name)
    if arguments.json:
        print(document.decode())
        return Exit.DONE
    from edge_node.cli.status_text import status_text
    from edge_node.supervisor.status import StatusDocument

    print(status_text(msgspec.json.decode(document, type=StatusDocument)))
    return Exit.DONE


def chosen(names: Mapping[Path, str], wanted: str | None) -> Path:
    """The state folder of the agent that is meant: by today's name, else by the name that the folder was made for.

    Args:
        names: of the agents that run, by folder.
        wanted: the name that was given; None where the only one is meant.

    Raises:
        Unreachable: there is none, or none of that name.
        WrongUsage: there are several.
    """
    fitting = [folder for folder, name in names.items() if wanted in (None, name)]
    fitting = fitting or [folder for folder in names if folder.name == wanted]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(name if folder.name == name else f"{name} (on {folder})" for folder, name in names.items())
    if fitting:
        raise WrongUsage(f"which node? Say --name or --state-dir: in the usual place there are {there}")
    who = "no agent" if wanted is None else f"no agent called {wanted!r}"
    raise Unreachable(
        f"{who} runs in the usual place (there: {there or 'none'}): start it with edge-node run, or say --state-dir"
    )


def _document(state_dir: Path | None, name: str | None) -> bytes:
    from edge_node.supervisor.control import ask_status

    if state_dir is not None:
        return ask_status(state_dir)
    documents = {**_running(default_state_dir("x").parent), **_running(Path(STATE))}
    names = {folder: str(msgspec.json.decode(document)["name"]) for folder, document in documents.items()}
    return documents[chosen(names, name)]


def _running(place: Path) -> dict[Path, bytes]:
    """The folders in a place on which an agent answers us, with its document."""
    from edge_node.supervisor.control import SOCKET, ask_status

    found: dict[Path, bytes] = {}
    for socket in sorted(place.glob(f"*/{SOCKET}")):
        with contextlib.suppress(Unreachable):  # the socket of an agent that was killed
            found[socket.parent] = ask_status(socket.parent)
    return found
