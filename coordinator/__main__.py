"""`edge-coordinator`, also as `python -m coordinator`: `init` makes a folder, `serve` runs a coordinator from it."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import msgspec

from coordinator import __version__
from coordinator.authority.files import admin_name, make_identity
from coordinator.config import CoordinatorConfig, read_config
from coordinator.errors import Exit, NearfieldError, WrongUsage
from coordinator.folder import Folder, make_folder, private_files
from coordinator.rotation import commands as rotation_commands
from coordinator.service import commands as service_commands
from coordinator.service.notify import notifier
from coordinator.trust.first_root import FirstRoot, make_first_root
from protos.errors import ContractError
from protos.strict import convert

MAX_PORT = 65535


def port(text: str) -> int:
    """A port's number, as argparse reads it."""
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: write a number from 0 to {MAX_PORT} (0: any free one)"
        )
    return int(text)


OPTIONS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("host", str, "address to listen on (default 0.0.0.0: every interface)"),
    ("port", port, "port of the gRPC API (default 7070; 0: any free one)"),
    ("enroll-port", port, "port where devices enroll (default 7071; 0: any free one)"),
    ("broker", str, "URL of an MQTT broker; without it the coordinator runs its own"),
    ("broker-port", port, "port of the own broker (default 8883; 0: any free one)"),
    ("database", str, "SQLAlchemy URL for control data (default: SQLite in the folder)"),
    ("results-database", str, "SQLAlchemy URL for results (default: SQLite in the folder)"),
    ("log-level", str, "debug, info, warning or error"),
)

LISTS = (
    ("names", "another host name or address of this machine, for its certificate; may be repeated"),
    ("advertise", "what join tokens tell devices to dial (default: this machine's addresses); may be repeated"),
)


class _Parser(argparse.ArgumentParser):
    """Answers a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: {message}. See {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code. What a person did wrong is one line on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except NearfieldError as error:
        print(f"edge-coordinator: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that cannot be written: the system's words and the file say it
        print(f"edge-coordinator: {error.filename or parsed.dir}: {error.strerror or error}", file=sys.stderr)
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="edge-coordinator", description="Keeps models, tells nodes what to run.")
    parser.add_argument("--version", action="version", version=f"edge-coordinator {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (("init", _init, "make a coordinator's folder"), ("serve", _serve, "run a coordinator")):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(run=run)
        command.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the coordinator's folder")
        if name == "init":
            theirs = "public key (.pub) of a publisher, in place of a key made here; may be given several times"
            command.add_argument("--publisher-key", type=Path, action="append", metavar="FILE", help=theirs)
        for option, kind, explanation in OPTIONS:
            command.add_argument(f"--{option}", type=kind, metavar=option.upper(), help=explanation)
        no_announce = "do not announce by zeroconf"
        for option, names in LISTS:
            command.add_argument(f"--{option}", action="append", metavar="HOST", help=names)
        command.add_argument("--no-announce", dest="announce", action="store_const", const=False, help=no_announce)
    rotation_commands.register(commands)
    service_commands.register(commands)
    return parser


def _init(parsed: argparse.Namespace) -> int:
    folder = Folder(parsed.dir)
    config = _with_options(CoordinatorConfig(), parsed)
    with private_files():
        is_new = make_folder(folder, config)
        make_identity(folder, admin_name(os.environ), datetime.now(UTC))
        first = make_first_root(folder, parsed.publisher_key or (), datetime.now(UTC))
    if is_new:
        print(f"{folder.root} is ready: edge-coordinator serve --dir {folder.root}")
        print(f"the administrator's credential, for edgectl: export NEARFIELD_CREDENTIALS={folder.admin.resolve()}")
    else:
        print(f"{folder.root} was ready before; its keys and configuration stay as they are")
    if first is not None:
        print(_about_publishers(first))
    return Exit.DONE


def _about_publishers(first: FirstRoot) -> str:
    if first.publisher_key is None:
        return "before a model can be deployed, a publisher signs the trust root: edgectl trust sign --key FILE"
    return (
        f"the publisher's key, which signs models, is {first.publisher_key.resolve()}: keep it on another machine, so "
        "that whoever breaks into this one cannot run models of their own"
    )


def _serve(parsed: argparse.Namespace) -> int:
    config = _with_options(read_config(parsed.dir), parsed)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with private_files():
        asyncio.run(_run(config, parsed.dir))
    return Exit.DONE


async def _run(config: CoordinatorConfig, folder: Path) -> None:
    from coordinator.app import Coordinator
    from coordinator.link.addresses import machine_addresses, reached

    stopping = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _settle, stopping)
    service = notifier(os.environ)  # before anything starts: the broker, a child, would speak to systemd too
    coordinator = Coordinator(config, folder)
    starting = asyncio.create_task(coordinator.start())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return
    await starting
    addresses = machine_addresses()
    api, enrolling, broker = (
        reached(place, addresses)
        for place in (coordinator.address, coordinator.enrollment_address, coordinator.broker_url)
    )
    service.ready(lambda: f"gRPC {api}, broker {broker} ({coordinator.broker_words})")
    try:
        print(
            f"coordinator {api} · enrollment {enrolling} · broker {broker} ({coordinator.broker_words})",
            flush=True,
        )
        assert coordinator.failed is not None  # it has started
        await asyncio.wait((stopping, coordinator.failed), return_when=asyncio.FIRST_COMPLETED)
        if coordinator.failed.done():
            await coordinator.failed
    finally:
        service.stopping()
        await coordinator.stop()
        service.close()


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _with_options(config: CoordinatorConfig, parsed: argparse.Namespace) -> CoordinatorConfig:
    given = {
        key: value for key in CoordinatorConfig.__struct_fields__ if (value := getattr(parsed, key, None)) is not None
    }
    try:
        return convert(msgspec.to_builtins(config) | given, CoordinatorConfig, "the command line")
    except ContractError as error:
        raise WrongUsage(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
