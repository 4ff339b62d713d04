"""The commands of `edge-node`, one file each: `register(subparsers)` declares it, `run(arguments)` does it."""

import importlib
import sys
from collections.abc import Sequence

from edge_node import __version__
from edge_node.cli.boundary import ended
from edge_node.cli.parser import LineParser

COMMANDS: tuple[str, ...] = (
    *("enroll", "run", "serve", "key", "status", "infer", "bench", "doctor", "bundle", "egress", "install"),
)
"""Modules of this package, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code. What a person did wrong is one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = LineParser(prog="edge-node", description="Run models where the data is.")
    parser.add_argument("--version", action="version", version=f"edge-node {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in given[:1] if given and given[0] in COMMANDS else COMMANDS:  # the others' imports take their time
        importlib.import_module(f"edge_node.cli.{command}").register(subparsers)
    parsed = parser.parse_args(given)
    return ended(lambda: parsed.run(parsed))
