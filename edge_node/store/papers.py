"""The signed papers of bundles on the disk: `releases/<hex>.json`, beside the blobs. Which of them count is decided in
`release.py`, from the envelopes themselves, at every load.
"""

import logging
from pathlib import Path

import msgspec

from edge_node.store.files import read_if_there, write_durably
from edge_node.store.release import MAX_PAPERS, Papers
from protos.digest import Digest, hex_of

log = logging.getLogger(__name__)


class PapersFolder:
    """Papers by the digest of their bundle."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "releases"

    def get(self, digest: Digest) -> Papers:
        """What lies here of a bundle; nothing where it is damaged: it is asked for again."""
        content = read_if_there(self._file(digest))
        if content is None:
            return Papers()
        try:
            return msgspec.json.decode(content, type=Papers)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): asking the coordinator again", self._file(digest), error)
            return Papers()

    def keep(self, digest: Digest, papers: Papers) -> None:
        """Keep what came, in front of what is here: a coordinator that lost a paper takes none away."""
        held = self.get(digest)
        both = Papers(_first(papers.releases, held.releases), _first(papers.downgrades, held.downgrades))
        if both != held:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._file(digest), msgspec.json.encode(both))

    def remove(self, digest: Digest) -> None:
        """Forget them; idempotent."""
        self._file(digest).unlink(missing_ok=True)

    def _file(self, digest: Digest) -> Path:
        return self._folder / f"{hex_of(digest)}.json"


def _first(new: tuple[bytes, ...], old: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((*new, *old)))[:MAX_PAPERS]
