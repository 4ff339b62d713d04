"""`edge-node key create | list | delete`: API keys of clients of the serving ports. A key is shown once, never kept."""

import argparse
import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_node.config import NodeConfig, read_config
from edge_node.errors import BadInput, Exit, WrongUsage

if TYPE_CHECKING:
    from edge_node.serving.firewall.keys import Key

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
FILE = "serving.keys"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("key", help="API keys of the clients that ask for inferences")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and show it, once")
    create.add_argument("--scope", action="append", choices=("infer", "admin"), help="what it may (infer); repeatable")
    listing = actions.add_parser("list", help="the names of the keys")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    delete = actions.add_parser("delete", help="have a key refused from now on")
    for action in (create, delete):
        action.add_argument("--name", required=True, help="whose key it is, for example app")
    for action, run in ((create, run_create), (listing, run_list), (delete, run_delete)):
        action.add_argument("--key-file", type=Path, metavar="FILE", help="(key_file of [serving], else the state's)")
        action.add_argument("--config", type=Path, metavar="FILE", help="the node's edge-node.toml")
        action.set_defaults(run=run)


def run_create(arguments: argparse.Namespace) -> int:
    """Make a key; only the key is on standard output."""
    from edge_node.serving.firewall.key_file import read_keys, write_keys
    from edge_node.serving.firewall.keys import RANDOM_BYTES, Key, digest_of_key, text_of

    if _NAME.fullmatch(arguments.name) is None:
        raise WrongUsage(f"--name {arguments.name!r}: give small letters, digits, '.', '_' and '-', for example app")
    path = _path(arguments)
    keys = read_keys(path)
    if any(key.name == arguments.name for key in keys):
        raise BadInput(f"{path} has a key named {arguments.name}: delete it first, or give another --name")
    text = text_of(secrets.token_bytes(RANDOM_BYTES))
    scopes = tuple(sorted(set(arguments.scope or ("infer",))))
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write_keys(path, (*keys, Key(arguments.name, scopes, digest_of_key(text), created)))
    print(text)
    print(f"kept in {path}, as a digest: the key itself is not shown again", file=sys.stderr)
    return Exit.DONE


def run_list(arguments: argparse.Namespace) -> int:
    """Names, scopes and times."""
    from edge_node.serving.firewall.key_file import read_keys

    keys = read_keys(_path(arguments))
    if arguments.json:
        _print_json(keys)
        return Exit.DONE
    for key in keys:
        print(f"{key.name}  {','.join(key.scopes)}  {key.created}")
    return Exit.DONE


def run_delete(arguments: argparse.Namespace) -> int:
    """A running node refuses it within a second or two."""
    from edge_node.serving.firewall.key_file import read_keys, write_keys

    path = _path(arguments)
    keys = read_keys(path)
    rest = tuple(key for key in keys if key.name != arguments.name)
    if len(rest) == len(keys):
        raise BadInput(f"{path} has no key named {arguments.name}: edge-node key list shows them")
    write_keys(path, rest)
    return Exit.DONE


def key_file_of(config: NodeConfig) -> Path:
    """The file of keys of a node: its configuration's, else one of its state folder."""
    return Path(config.serving.key_file or Path(config.state_dir) / FILE)


def _path(arguments: argparse.Namespace) -> Path:
    return arguments.key_file or key_file_of(read_config(arguments.config, {}))


def _print_json(keys: "tuple[Key, ...]") -> None:
    import msgspec

    told = [{"name": key.name, "scopes": key.scopes, "created": key.created} for key in keys]
    print(msgspec.json.encode(told).decode())
