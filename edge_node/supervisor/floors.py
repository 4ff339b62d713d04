"""The floor of each model: the newest version that has passed its probation here. `floors.json`.

It only rises. What a version below it takes is decided in `edge_node.store.release`.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from edge_node.store.files import read_if_there, write_durably
from protos.desired import DesiredDeployment

log = logging.getLogger(__name__)


def raised(floors: Mapping[str, int], proven: Iterable[DesiredDeployment]) -> dict[str, int]:
    """The floors after these versions have passed their probation. Pure."""
    after = dict(floors)
    for version in proven:
        after[version.model] = max(after.get(version.model, 0), version.version)
    return after


class FloorFile:
    """The floors on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, last_good: Iterable[DesiredDeployment]) -> dict[str, int]:
        """What the last run kept, and at least what it could fall back on: all there is where the file is damaged."""
        content = read_if_there(self._path)
        kept: dict[str, int] = {}
        try:
            kept = {} if content is None else msgspec.json.decode(content, type=dict[str, int])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): going by the versions to fall back on", self._path, error)
        return raised(kept, last_good)

    def save(self, floors: Mapping[str, int]) -> None:
        """Keep the floors."""
        write_durably(self._path, msgspec.json.encode(floors))
