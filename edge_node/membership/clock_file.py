"""`clock.json`: the floor of the clock, kept across restarts. Written rarely, because devices live on flash memory."""

import logging
from pathlib import Path

import msgspec

from edge_node.store.files import read_if_there, write_durably

KEEP_EVERY_S = 600.0
"""The floor is written when it has risen by so much, and at the end."""

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    floor: float


class ClockFile:
    """The floor on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = 0.0

    def load(self) -> float:
        """The floor of earlier runs; 0 where there is none or the file is damaged."""
        content = read_if_there(self._path)
        if content is not None:
            try:
                self._kept = msgspec.json.decode(content, type=_Kept).floor
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("%s is damaged (%s): the clock begins anew", self._path, error)
        return self._kept

    def keep(self, floor: float, *, at_once: bool = False) -> None:
        """Write the floor where it is time to; a disk that is full costs no more than a floor that is a little old."""
        if floor - self._kept < (1.0 if at_once else KEEP_EVERY_S):
            return
        try:
            write_durably(self._path, msgspec.json.encode(_Kept(floor)), mode=0o600)
        except OSError as error:
            log.warning("the time cannot be kept in %s (%s)", self._path, error.strerror)
        self._kept = floor
