"""What tuning has chosen on this device, kept in a file: `edge-node bench --tune` writes it, who serves reads it.

A choice counts for the files that were measured, on one hardware, with one version of the engine. What is tried and
chosen is `tuning`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.repository.tuning import Way
from edge_node.store.files import read_if_there, write_durably
from protos.digest import Digest, digest_of

log = logging.getLogger(__name__)

FILE = "tuned.json"


class KeptWay(msgspec.Struct, frozen=True):
    """A way as `tuned.json` holds it; `times` as many samples per second as untuned."""

    digest: Digest
    hardware: str
    engine_version: str
    way: Way
    times: float
    slo_p95_ms: float
    reason: str

    @property
    def text(self) -> str:
        """For people, in a line."""
        return f"tuned: {self.way.text}: {self.reason}"


class TunedWays:
    """All that was tuned on this device."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hardware = ""
        self._engines: Mapping[str, str] = {}
        self._kept: dict[Digest, KeptWay] = {}

    def load(self, hardware: str, engines: Mapping[str, str]) -> "TunedWays":
        """Read what was tuned; nothing where the file is damaged.

        Args:
            hardware: what this device is, in words that change when it does.
            engines: name → version of the engines that are installed.
        """
        self._hardware, self._engines = hardware, engines
        self._kept = {one.digest: one for one in _read(self._path)}
        return self

    def __bool__(self) -> bool:
        """Whether there is anything at all: else no model has to be hashed."""
        return bool(self._kept)

    def of(self, digest: Digest) -> KeptWay | None:
        """What counts for these files here, None: they were not tuned, or somewhere else."""
        kept = self._kept.get(digest)
        if kept is None or kept.hardware != self._hardware:
            return None
        return kept if self._engines.get(kept.way.engine) == kept.engine_version else None

    def keep(self, digest: Digest, way: Way, times: float, slo_p95_ms: float, reason: str) -> None:
        """Keep a choice, instead of the one before."""
        version = self._engines.get(way.engine, "")
        self._kept[digest] = KeptWay(digest, self._hardware, version, way, times, slo_p95_ms, reason)
        self._write()

    def forget(self, digest: Digest) -> bool:
        """Forget a choice; whether there was one."""
        there = self._kept.pop(digest, None) is not None
        if there:
            self._write()
        return there

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(self._path, msgspec.json.encode(list(self._kept.values())))


def files_digest(files: Mapping[str, Digest]) -> Digest:
    """Of the files that a model consists of, by their names."""
    return digest_of("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode())


def read_digest(folder: Path, names: tuple[str, ...]) -> Digest:
    """The same of files on the disk."""
    return files_digest({name: digest_of((folder / name).read_bytes()) for name in names})


def _read(path: Path) -> list[KeptWay]:
    content = read_if_there(path)
    if content is None:
        return []
    try:
        return msgspec.json.decode(content, type=list[KeptWay])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s is damaged (%s): models are served untuned", path, error)
        return []
