"""`edge-node run`: the agent."""

import argparse
import difflib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_node.cli.state_folder import usual_folder
from edge_node.config import NodeConfig, read_config
from edge_node.errors import Exit, WrongUsage

if TYPE_CHECKING:
    from edge_node.app import Agent

SOURCE_OPTIONS = ("fps", "loop", "realtime")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("run", help="run the agent: models as the coordinator wants them")
    parser.add_argument("--config", type=Path, metavar="FILE", help="an edge-node.toml; the command line wins")
    parser.add_argument("--name", help="which node of this device, where it has several")
    parser.add_argument("--token-file", metavar="FILE", help="a join token, for a device without identity")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=URL[,fps=5][,loop=true][,realtime=false]",
        help="a photo, a folder, a video, a camera or an rtsp:// address; may be repeated",
    )
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="instead of looking for it by zeroconf")
    parser.add_argument("--broker", metavar="URL", help="instead of the broker that the coordinator names")
    parser.add_argument("--live-broker", metavar="URL", help="another broker for live results: mqtt://HOST:PORT")
    parser.add_argument("--live-username", metavar="NAME", help="for --live-broker")
    parser.add_argument("--live-password-file", metavar="FILE", help="for --live-broker")
    parser.add_argument("--live-ca-file", metavar="FILE", help="for --live-broker mqtts://HOST:PORT")
    parser.add_argument("--state-dir", metavar="D", help="where the node keeps its state")
    parser.add_argument("--isolation", choices=("process", "thread"), help="of capture and workers (process)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", choices=("text", "json"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the agent until SIGTERM or SIGINT."""
    import asyncio  # not above: every command registers, and this import takes a tenth of the time of `infer`

    from edge_node.app import Agent
    from edge_node.store.files import private_files
    from edge_node.telemetry.logs import configure_logs

    config = configured(arguments)
    configure_logs(config.log_level, config.log_format)
    with private_files():
        asyncio.run(_until_signalled(Agent(config)))
    return Exit.DONE


def configured(arguments: argparse.Namespace) -> NodeConfig:
    """The configuration of a command line.

    Raises:
        BadInput, WrongUsage: what is wrong with it.
    """
    overrides: dict[str, object] = {
        "name": arguments.name,
        "token_file": arguments.token_file,
        "state_dir": arguments.state_dir,
        "coordinator": arguments.coordinator,
        "broker": arguments.broker,
        "isolation": arguments.isolation,
        "log_level": arguments.log_level,
        "log_format": arguments.log_format,
        "sources": dict(parse_source(text) for text in arguments.source),
        "labels": dict(parse_label(text) for text in arguments.label) or None,
        "live": _live(arguments),
    }
    return read_config(arguments.config, overrides, usual_folder)


def parse_source(text: str) -> tuple[str, dict[str, object]]:
    """The name and the keys of `NAME=URL[,option=value…]`.

    Raises:
        WrongUsage: not of that form, or an option that there is not.
    """
    name, equals, rest = text.partition("=")
    url, *options = rest.split(",")
    if not (name and equals and url) or "://" in name:
        from edge_node.capture.kinds import shown  # an address may hold a password

        raise WrongUsage(f"--source {shown(text)!r}: write NAME=URL, for example shelf=/dev/video0,fps=5")
    return name, {"url": url, **dict(_option(name, option) for option in options)}


def parse_label(text: str) -> tuple[str, str]:
    """The key and value of `KEY=VALUE`.

    Raises:
        WrongUsage: not of that form.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise WrongUsage(f"--label {text!r}: write KEY=VALUE, for example site=store-12")
    return key, value


def _option(name: str, option: str) -> tuple[str, object]:
    key, _, value = option.partition("=")
    if key not in SOURCE_OPTIONS:
        nearest: Sequence[str] = difflib.get_close_matches(key, SOURCE_OPTIONS, n=1) or SOURCE_OPTIONS
        raise WrongUsage(f"--source {name}: unknown option {key!r}; did you mean {' or '.join(nearest)}?")
    if key == "fps":
        return key, _number(name, value)
    if value not in ("true", "false"):
        raise WrongUsage(f"--source {name}: {key} is true or false, not {value!r}")
    return key, value == "true"


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise WrongUsage(f"--source {name}: fps is a number, not {value!r}") from None


def _live(arguments: argparse.Namespace) -> dict[str, str] | None:
    keys = {
        "url": arguments.live_broker,
        "username": arguments.live_username,
        "password_file": arguments.live_password_file,
        "ca_file": arguments.live_ca_file,
    }
    return {key: value for key, value in keys.items() if value is not None} or None


async def _until_signalled(agent: "Agent") -> None:
    import asyncio

    from edge_node.service.notify import notifier

    service = notifier(os.environ)
    agent.on_ready = lambda: service.ready(agent.summary)

    def stop() -> None:
        service.stopping()
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await agent.run()
    finally:
        service.close()
