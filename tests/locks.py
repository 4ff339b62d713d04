"""The requirement locks: which packages, in which versions, with which hashes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.conftest import ROOT

FOLDER = ROOT / "requirements"
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([A-Za-z0-9.!+_-]+)(?: ; [^-#@]+)?")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
"""The only forms that a line may have: no address, no option, no range, no other hash."""


@dataclass(frozen=True)
class Pin:
    """One version of a package, and the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: frozenset[str]

    @property
    def line(self) -> str:
        """The requirement as a line, for every machine: without its marker."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in sorted(self.hashes))))


def parse_lock(text: str) -> Iterator[Pin]:
    """The pins of a lock.

    Raises:
        ValueError: a line is something else.
    """
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = " ".join(line.split()).split(" --hash=")
        if not requirement:
            continue
        pinned, hashed = _PINNED.fullmatch(requirement), [_HASH.fullmatch(one) for one in hashes]
        if pinned is None or not hashed or None in hashed:
            raise ValueError(f"not a pinned requirement with hashes: {requirement[:120]}")
        name = re.sub(r"[-_.]+", "-", pinned[1]).lower()
        yield Pin(name, pinned[2], frozenset(one[1] for one in hashed if one))


def locks() -> dict[str, tuple[Pin, ...]]:
    """All locks, by name."""
    return {file.stem: tuple(parse_lock(file.read_text(encoding="utf-8"))) for file in sorted(FOLDER.glob("*.txt"))}
