"""The variants chosen on this device, kept on disk: proving costs seconds, and a fleet of equal devices stays equal.

A choice counts for one bundle, on one hardware, with one version of the engine that it was proven on. What was refused
is kept in memory only: the next start may find a device that has recovered. Choosing is `edge_node.engine.select`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, NoChoice
from edge_node.store.files import read_if_there, write_durably
from edge_node.supervisor.actual import ChoiceKey
from protos.digest import Digest

log = logging.getLogger(__name__)


class KeptChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A choice as `choices.json` holds it; `pin` is the variant that the deployment named."""

    digest: Digest
    hardware: str
    proof: VariantProof
    reason: str
    pin: str | None = None
    ladder: tuple[str, ...] = ()
    loads_ms: dict[str, float] = {}


class Choices:
    """All choices of this device."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hardware = ""
        self._engines: Mapping[str, str] = {}
        self._kept: dict[ChoiceKey, KeptChoice] = {}
        self._refused: dict[ChoiceKey, NoChoice] = {}

    def load(self, hardware: str, engines: Mapping[str, str]) -> None:
        """Read what earlier runs chose; nothing where the file is damaged.

        Args:
            hardware: what this device is, in words that change when it does.
            engines: name → version of the engines that are installed.
        """
        self._hardware, self._engines = hardware, engines
        content = read_if_there(self._path)
        if content is None:
            return
        try:
            kept = msgspec.json.decode(content, type=list[KeptChoice])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): every model will be proven again", self._path, error)
            return
        self._kept = {(choice.digest, choice.pin): choice for choice in kept}

    def valid(self) -> dict[ChoiceKey, Choice | NoChoice]:
        """The choices that count on this hardware with these engines."""
        counting = {
            key: Choice(kept.proof, kept.reason, kept.ladder, kept.loads_ms)
            for key, kept in self._kept.items()
            if self._counts(kept)
        }
        return {**counting, **self._refused}

    def previous(self, key: ChoiceKey) -> str | None:
        """The variant that was chosen before, also where that no longer counts."""
        kept = self._kept.get(key)
        return None if kept is None else kept.proof.file

    def keep(self, key: ChoiceKey, choice: Choice | NoChoice) -> None:
        """Keep a choice, or remember a refusal until the next start."""
        if isinstance(choice, NoChoice):
            self._refused[key] = choice
            return
        self._kept[key] = KeptChoice(
            digest=key[0],
            hardware=self._hardware,
            proof=choice.proof,
            reason=choice.reason,
            pin=key[1],
            ladder=choice.ladder,
            loads_ms=dict(choice.loads_ms),
        )
        self._write()

    def forgive(self, digest: Digest) -> None:
        """Have a bundle that was refused proven again."""
        self._refused = {key: choice for key, choice in self._refused.items() if key[0] != digest}

    def forget(self, digest: Digest) -> None:
        """Forget what was chosen for a bundle that is gone."""
        self.forgive(digest)
        rest = {key: kept for key, kept in self._kept.items() if key[0] != digest}
        if len(rest) < len(self._kept):
            self._kept = rest
            self._write()

    def _counts(self, kept: KeptChoice) -> bool:
        return kept.hardware == self._hardware and self._engines.get(kept.proof.engine) == kept.proof.engine_version

    def _write(self) -> None:
        write_durably(self._path, msgspec.json.encode(list(self._kept.values())))
