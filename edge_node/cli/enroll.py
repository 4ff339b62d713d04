"""`edge-node enroll`: makes this device a node, by a join token."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_node.config import NodeConfig, read_config
from edge_node.errors import BadInput, Exit, Refused, WrongUsage

if TYPE_CHECKING:
    from edge_node.membership.identity import Identity
    from protos.join_token import JoinToken

STANDARD_INPUT = "-"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("enroll", help="make this device a node, by a join token")
    parser.add_argument("token", nargs="?", metavar="TOKEN", help="the line of edgectl node token create; - reads it")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")
    parser.add_argument("--name", help="what the device would like to be called; a token that binds a name wins")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--config", type=Path, metavar="FILE", help="an edge-node.toml: its name, labels and state_dir")
    parser.add_argument("--state-dir", metavar="D", help="where the node keeps its state")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="of enrollment, instead of the token's addresses")
    parser.add_argument("--again", action="store_true", help="though the device has an identity: it gets a new one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Use up the token and keep what comes of it."""
    import asyncio

    from edge_node.membership.identity import IDENTITY
    from edge_node.store.files import private_files

    token = _token(arguments)
    config = _config(arguments)
    folder = Path(config.state_dir)
    if (folder / IDENTITY).exists() and not arguments.again:
        raise Refused(
            f"this device is enrolled already ({folder}): with --again it gets a new identity, with another --name "
            "it becomes one node more"
        )
    with private_files():
        identity = asyncio.run(_enrolled(folder, token, config, arguments.coordinator))
    print(f"enrolled as {identity.name} at {identity.site} ({identity.node}); {_what_now(folder, arguments.config)}")
    return Exit.DONE


def _token(arguments: argparse.Namespace) -> "JoinToken":
    from edge_node.membership.upkeep import read_token
    from protos.errors import ContractError
    from protos.join_token import parse_join_token

    if (arguments.token is None) == (arguments.token_file is None):
        raise WrongUsage("give the token, - to read it from standard input, or --token-file FILE")
    if arguments.token_file is not None:
        return read_token(arguments.token_file)
    text = sys.stdin.readline() if arguments.token == STANDARD_INPUT else arguments.token
    try:
        return parse_join_token(text)
    except ContractError as error:
        raise BadInput(str(error)) from None


def _config(arguments: argparse.Namespace) -> NodeConfig:
    from edge_node.cli.run import parse_label
    from edge_node.cli.state_folder import usual_folder
    from edge_node.config import default_state_dir

    overrides: dict[str, object] = {
        "name": arguments.name,
        "state_dir": arguments.state_dir,
        "labels": dict(parse_label(text) for text in arguments.label) or None,
    }
    return read_config(arguments.config, overrides, usual_folder if arguments.again else default_state_dir)


async def _enrolled(folder: Path, token: "JoinToken", config: NodeConfig, coordinator: str | None) -> "Identity":
    import msgspec

    from edge_node.engine.installed import engine_versions
    from edge_node.membership.enrolling import Applicant, enroll
    from edge_node.supervisor.control import usable
    from edge_node.telemetry.facts import device_facts

    facts = device_facts(engine_versions(), config)
    applicant = Applicant(config.name, config.labels, msgspec.json.encode(facts).decode(), coordinator)
    with usable(folder):
        return await enroll(folder, token, applicant)


def _what_now(folder: Path, config: Path | None) -> str:
    """Put the identity into place, unless an agent runs there: that one does it itself."""
    from edge_node.membership.enrolling import other_node, take_up
    from edge_node.service.unit import CONFIG as SERVICE_CONFIG
    from edge_node.service.unit import NAME as SERVICE
    from edge_node.supervisor.control import state_lock

    try:
        with state_lock(folder):
            take_up(folder)
    except Refused:
        return "stop and start the agent that runs" if other_node(folder) else "the agent that runs takes it up"
    if config == Path(SERVICE_CONFIG):
        return f"start it with sudo systemctl start {SERVICE}"
    return f"start it with edge-node run{_which(folder, config)}"


def _which(folder: Path, config: Path | None) -> str:
    """What tells this node from the others of the device."""
    from edge_node.cli.state_folder import enrolled_folders
    from edge_node.config import default_state_dir

    if config is not None:
        return f" --config {config}"
    place = default_state_dir("").parent
    if folder.parent != place:
        return f" --state-dir {folder}"
    return f" --name {folder.name}" if len(enrolled_folders(place)) > 1 else ""
