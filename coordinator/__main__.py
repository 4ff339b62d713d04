"""`edge-coordinator`, also as `python -m coordinator`: `init` makes a folder, `serve` runs a coordinator from it."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from coordinator import __version__
from coordinator.config import CoordinatorConfig, read_config
from coordinator.errors import BadInput, Exit, NearfieldError
from coordinator.folder import Folder, make_folder

OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("host", str, "loopback address of the gRPC API (default 127.0.0.1)"),
    ("port", int, "port of the gRPC API (default 7070; 0: any free one)"),
    ("broker", str, "URL of an MQTT broker; without it the coordinator runs its own"),
    ("broker-port", int, "port of the own broker (default 1883; 0: any free one)"),
    ("database", str, "SQLAlchemy URL for control data (default: SQLite in the folder)"),
    ("results-database", str, "SQLAlchemy URL for results (default: SQLite in the folder)"),
    ("log-level", str, "debug, info, warning or error"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code. What a person did wrong is one line on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except NearfieldError as error:
        print(f"edge-coordinator: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Exit.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge-coordinator", description="Keeps models, tells nodes what to run.")
    parser.add_argument("--version", action="version", version=f"edge-coordinator {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (("init", _init, "make a coordinator's folder"), ("serve", _serve, "run a coordinator")):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(run=run)
        command.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the coordinator's folder")
        for option, kind, explanation in OPTIONS:
            command.add_argument(f"--{option}", type=kind, metavar=option.upper(), help=explanation)
        no_announce = "do not announce by zeroconf"
        command.add_argument("--no-announce", dest="announce", action="store_const", const=False, help=no_announce)
    return parser


def _init(parsed: argparse.Namespace) -> int:
    folder = Folder(parsed.dir)
    config = _with_options(CoordinatorConfig(), parsed)
    if make_folder(folder, config):
        print(f"{folder.root} is ready: edge-coordinator serve --dir {folder.root}")
    else:
        print(f"{folder.root} was ready before; its keys and configuration stay as they are")
    return Exit.DONE


def _serve(parsed: argparse.Namespace) -> int:
    config = _with_options(read_config(parsed.dir), parsed)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(_run(config, parsed.dir))
    return Exit.DONE


async def _run(config: CoordinatorConfig, folder: Path) -> None:
    from coordinator.app import Coordinator

    stopping = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _settle, stopping)
    coordinator = Coordinator(config, folder)
    starting = asyncio.create_task(coordinator.start())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return
    await starting
    try:
        print(
            f"coordinator {coordinator.address} · broker {coordinator.broker_url} ({coordinator.broker_kind})",
            flush=True,
        )
        assert coordinator.failed is not None  # it has started
        await asyncio.wait((stopping, coordinator.failed), return_when=asyncio.FIRST_COMPLETED)
        if coordinator.failed.done():
            await coordinator.failed
    finally:
        await coordinator.stop()


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _with_options(config: CoordinatorConfig, parsed: argparse.Namespace) -> CoordinatorConfig:
    given = {
        key: value for key in CoordinatorConfig.__struct_fields__ if (value := getattr(parsed, key, None)) is not None
    }
    try:
        return msgspec.convert(msgspec.to_builtins(config) | given, CoordinatorConfig)
    except msgspec.ValidationError as error:
        raise BadInput(f"the command line: {error}") from None


if __name__ == "__main__":
    raise SystemExit(main())
