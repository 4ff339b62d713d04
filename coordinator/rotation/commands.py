"""`edge-coordinator rotate signing-key | authority`: new keys, step by step, while nodes go on."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coordinator.authority.files import read_authority
from coordinator.config import read_config
from coordinator.errors import Exit
from coordinator.folder import Folder, private_files
from coordinator.rotation import authority, signing_key
from coordinator.rotation.proposal import root_in_force

if TYPE_CHECKING:
    from coordinator.db.control import ControlStore

STEPS = ("status", "prepare", "activate", "retire")


def register(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Declare the command."""
    text = "give the coordinator new keys without touching its nodes"
    rotate = subparsers.add_parser("rotate", help=text, description=f"{text.capitalize()}.")
    kinds = rotate.add_subparsers(required=True, metavar="WHAT")
    key = kinds.add_parser("signing-key", help="what signs desired state, commands, acknowledgements")
    key.set_defaults(run=run_signing_key)
    issuer = kinds.add_parser("authority", help="what issues certificates")
    issuer.set_defaults(run=run_authority)
    issuer.add_argument("--force", action="store_true", help="retire, though some have certificates of the old one")
    for one in (key, issuer):
        one.add_argument("step", nargs="?", choices=STEPS, default="status", help="without: how far it is")
        one.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the coordinator's folder")


def run_signing_key(parsed: argparse.Namespace) -> int:
    """One step of a new signing key."""
    folder, now = Folder(parsed.dir), datetime.now(UTC)
    with _opened(folder) as store, private_files():
        with store.read() as tx:
            root = root_in_force(tx.roots.all())
        match parsed.step:
            case "prepare":
                words = signing_key.prepare(folder, root, now)
            case "activate":
                words = signing_key.activate(folder, root)
            case "retire":
                words = signing_key.retire(folder, root, now)
            case _:
                words = signing_key.stage(folder, root)
    print("\n".join(words))
    return Exit.DONE


def run_authority(parsed: argparse.Namespace) -> int:
    """One step of a new authority."""
    folder, now = Folder(parsed.dir), datetime.now(UTC)
    with _opened(folder) as store, private_files():
        with store.read() as tx:
            root = root_in_force(tx.roots.all())
            bearers = authority.bearers(tx, read_authority(folder), now)
        match parsed.step:
            case "prepare":
                words = authority.prepare(folder, root, now)
            case "activate":
                words = authority.activate(folder, root)
            case "retire":
                words = authority.retire(folder, root, () if parsed.force else bearers, now)
            case _:
                words = authority.stage(folder, root, bearers)
    print("\n".join(words))
    return Exit.DONE


@contextmanager
def _opened(folder: Folder) -> "Iterator[ControlStore]":
    """The control data, beside a coordinator that may be serving."""
    from coordinator.db.control import ControlStore  # here: other commands need no database
    from coordinator.db.engine import open_engine, sqlite_url

    store = ControlStore(open_engine(read_config(folder.root).database or sqlite_url(folder.database)))
    try:
        store.prepare()
        yield store
    finally:
        store.close()
