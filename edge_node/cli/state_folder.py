"""Which state folder a command means, where nobody says: the one that fits among those of enrolled nodes."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.config import default_state_dir
from edge_node.errors import WrongUsage

IDENTITY = "identity.json"


class _Named(msgspec.Struct):
    name: str


def usual_folder(name: str) -> Path:
    """The state folder of the node of that name, or of the only node where the name is empty.

    Raises:
        WrongUsage: there are several.
    """
    return chosen_folder(enrolled_folders(default_state_dir("").parent), name)


def chosen_folder(names: Mapping[Path, str], wanted: str) -> Path:
    """The one that is meant, by the folder's name or by the node's; the usual one where none fits.

    Args:
        names: the names of the nodes that are enrolled, by folder.
        wanted: the name that was given; empty where the only node is meant.

    Raises:
        WrongUsage: there are several.
    """
    usual = default_state_dir(wanted)
    fitting = [folder for folder, name in names.items() if wanted in ("", name)]
    if usual in names or not fitting:
        return usual
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(sorted(folder.name for folder in fitting))
    raise WrongUsage(f"which node? Say --name or --state-dir: in the usual place there are {there}")


def enrolled_folders(place: Path) -> dict[Path, str]:
    """The folders of enrolled nodes in a place, with the nodes' names."""
    found: dict[Path, str] = {}
    for file in sorted(place.glob(f"*/{IDENTITY}")):
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):  # whoever uses it is told
            found[file.parent] = msgspec.json.decode(file.read_bytes(), type=_Named).name
    return found
