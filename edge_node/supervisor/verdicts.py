"""What is thought of versions on trial, as it lies on the disk: `verdicts.json`; what it means is `verdict.py`."""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.store.files import read_if_there, write_durably
from edge_node.supervisor.verdict import Verdict

log = logging.getLogger(__name__)


def started_again(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The verdicts after one more start of the agent, which whatever is on trial has to account for. Pure."""
    return {
        name: msgspec.structs.replace(one, starts=one.starts + 1) if one.state == "on" else one
        for name, one in verdicts.items()
    }


class VerdictFile:
    """Verdicts by deployment."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, Verdict]:
        """What the last run kept; nothing where it is damaged: a version that was sent back is tried once more."""
        content = read_if_there(self._path)
        if content is None:
            return {}
        try:
            return msgspec.json.decode(content, type=dict[str, Verdict])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): versions that were sent back are tried once more", self._path, error)
            return {}

    def start(self) -> dict[str, Verdict]:
        """As `load`, for an agent that starts, which is counted."""
        kept = self.load()
        now = started_again(kept)
        if now != kept:
            self.save(now)
        return now

    def save(self, verdicts: Mapping[str, Verdict]) -> None:
        """Keep the verdicts."""
        write_durably(self._path, msgspec.json.encode(verdicts))
