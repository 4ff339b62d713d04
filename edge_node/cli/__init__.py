"""The commands of `edge-node`, one file each: `register(subparsers)` declares it, `run(arguments)` does it."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from edge_node import __version__
from edge_node.cli.parser import LineParser
from edge_node.errors import Exit, NearfieldError

COMMANDS: tuple[str, ...] = ("run", "status", "infer", "bench", "doctor", "bundle", "install")
"""Modules of this package, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code. What a person did wrong is one line on standard error."""
    parser = LineParser(prog="edge-node", description="Run models where the data is.")
    parser.add_argument("--version", action="version", version=f"edge-node {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        importlib.import_module(f"edge_node.cli.{command}").register(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        return _ran(parsed)
    except NearfieldError as error:
        print(f"edge-node: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Exit.FAILED
    except BrokenPipeError:  # whoever read has enough; Python would complain at exit of what it could not write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE


def _ran(parsed: argparse.Namespace) -> int:
    code = int(parsed.run(parsed))
    sys.stdout.flush()
    return code
