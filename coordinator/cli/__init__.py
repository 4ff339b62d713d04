"""`edgectl`: speaks only the coordinator's gRPC API. One file per noun; this one is the program around them.

The one boundary where an error becomes one line on standard error and an exit code is `main`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from coordinator import __version__
from coordinator.cli import client
from coordinator.cli.credentials import OPTION
from coordinator.cli.credentials import VARIABLE as CREDENTIALS
from coordinator.cli.nouns import ALL, mount, named_by
from coordinator.errors import Exit, NearfieldError

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer brings its own click; only the classes made of it are public."""
COORDINATOR = "--coordinator"
VARIABLE = "NEARFIELD_COORDINATOR"
PYDANTICS_PREFIX = "Value error, "
"""Stands in some of Typer's complaints, which come from there."""
STDOUT = 1


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgectl {__version__}")
        raise typer.Exit


def edgectl(
    context: typer.Context,
    coordinator: Annotated[
        str, typer.Option(COORDINATOR, envvar=VARIABLE, metavar="HOST:PORT", help="Where it is.")
    ] = client.DEFAULT_ADDRESS,
    credentials: Annotated[
        Path | None, typer.Option(OPTION, envvar=CREDENTIALS, metavar="FILE", help="Certificate, key and authority.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Administers a Nearfield coordinator."""
    source = context.get_parameter_source("coordinator")
    client.named_by.set(VARIABLE if source is not None and source.name == "ENVIRONMENT" else COORDINATOR)
    client.address.set(coordinator)
    client.credentials.set(credentials)


def program(names: Sequence[str] = ALL) -> typer.Typer:
    """`edgectl` with these of its nouns and verbs."""
    made = typer.Typer(name="edgectl", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
    made.callback()(edgectl)
    mount(made, names)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code. What a person did wrong is one line on standard error."""
    given = hoisted(sys.argv[1:] if arguments is None else arguments)
    try:
        app = program(named_by(given, (COORDINATOR, OPTION)))
        code = app(args=given, prog_name="edgectl", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.DONE
    except NearfieldError as error:
        print(f"edgectl: {error}", file=sys.stderr)
        return error.exit_code
    except USAGE_ERROR as error:
        asked_nothing = type(error).__name__ == "NoArgsIsHelpError"
        print(error if asked_nothing else _usage(error), file=sys.stdout if asked_nothing else sys.stderr)
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return Exit.FAILED
    except (BrokenPipeError, SystemExit) as ending:
        if not isinstance(ending.__context__ if isinstance(ending, SystemExit) else ending, BrokenPipeError):
            raise
        # Whoever read has enough (typer calls that exit 1); Python would complain at exit of what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        return Exit.DONE


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with --coordinator and --credentials in front, where they may also stand behind a command."""
    before, after = list(arguments), list[str]()
    if "--" in before:
        cut = before.index("--")
        before, after = before[:cut], before[cut:]
    for option in (COORDINATOR, OPTION):
        before = _in_front(before, option)
    return [*before, *after]


def _in_front(arguments: list[str], option: str) -> list[str]:
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return [argument, *arguments[:place], *arguments[place + 1 :]]
        if argument == option and place + 1 < len(arguments):
            return [*arguments[place : place + 2], *arguments[:place], *arguments[place + 2 :]]
    return arguments


def _usage(error: Exception) -> str:
    """One line for a wrong command line."""
    context, message = getattr(error, "ctx", None), getattr(error, "format_message", error.__str__)()
    command = context.command_path if context is not None else "edgectl"
    said = " ".join(str(message).replace(PYDANTICS_PREFIX, "").split()).rstrip(".")
    return f"{command}: {said}. See {command} --help"
