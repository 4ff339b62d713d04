"""`edge-node status`: what the agent does now, what it waits for and why."""

import argparse
from pathlib import Path

import msgspec

from edge_node.config import default_state_dir
from edge_node.errors import Exit, WrongUsage


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("status", help="what the agent does now, what it waits for and why")
    parser.add_argument("--state-dir", type=Path, metavar="D", help="the node's state folder")
    parser.add_argument("--name", help="the node's name, where it has the usual state folder")
    parser.add_argument("--json", action="store_true", help="the whole document (docs/reference/node.md)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the agent and print its answer."""
    from edge_node.supervisor.control import ask_status

    document = ask_status(_folder(arguments))
    if arguments.json:
        print(document.decode())
        return Exit.DONE
    from edge_node.cli.status_text import status_text
    from edge_node.supervisor.status import StatusDocument

    print(status_text(msgspec.json.decode(document, type=StatusDocument)))
    return Exit.DONE


def _folder(arguments: argparse.Namespace) -> Path:
    if arguments.state_dir is not None:
        return Path(arguments.state_dir)
    if arguments.name is not None:
        return default_state_dir(arguments.name)
    folders = sorted(path.parent for path in default_state_dir("x").parent.glob("*/agent.sock"))
    if len(folders) == 1:
        return folders[0]
    running = ", ".join(folder.name for folder in folders) or "none"
    raise WrongUsage(f"which node? Say --name or --state-dir (with agents in the usual place: {running})")
