"""The compiled forms of models on the disk: found, kept, thrown away; the oldest go where they take too much.

A file is named after its key and the SHA-256 of its content. Only the agent writes here: a worker reads a form and
hashes what it read, and the process that makes one (`compiling`) hands its bytes over a pipe. A model decides nothing
but the content of its own form: its key is made here, of the file that was compiled.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_node.engine.compiled import COMPILING, Job, form_key
from edge_node.engine.installed import engine_versions
from edge_node.rungs import Rung
from edge_node.sandbox.confinement import Confinement
from edge_node.telemetry.system import processor

log = logging.getLogger(__name__)

MAKE_S = 300.0
_CHUNK = 1 << 20
_SHORT = 12
"""Of a key, for people."""


@dataclass(frozen=True)
class Form:
    """A form on the disk and the digest that its content must have."""

    path: Path
    digest: str


class Forms:
    """The forms of one folder, of at most `most_bytes` together; 0: none are kept."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most = most_bytes
        self._making: set[str] = set()

    async def key(self, model: Path, rung: Rung, threads: int) -> str | None:
        """The key of a model file's form on a rung; None where that engine has none, or none are kept."""
        if rung.engine not in COMPILING or not self._most:
            return None
        try:
            digest = await asyncio.to_thread(_sha256, model)
        except OSError:  # whoever loads it will say so
            return None
        return form_key(digest, rung, engine_versions().get(rung.engine, ""), processor(), threads)

    def find(self, key: str) -> Form | None:
        """The form of a key, which is the youngest from now on."""
        for path in self.folder.glob(f"{key}.*"):
            with suppress(OSError):
                os.utime(path)
            return Form(path, path.name.rpartition(".")[2])
        return None

    def throw_away(self, key: str) -> None:
        """Forget a form whose content was not what it should be."""
        log.warning("the compiled form %s is damaged: it is made again", key[:_SHORT])
        for path in self.folder.glob(f"{key}.*"):
            path.unlink(missing_ok=True)

    async def make(self, key: str, job: Job, confinement: Confinement) -> bool:
        """Have a form made in a process of its own, and keep it; whether that went well. The oldest go for it."""
        if key in self._making:
            return False
        self._making.add(key)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self.folder / f".{secrets.token_hex(8)}"
        try:
            async with asyncio.timeout(MAKE_S):
                digest = await self._made(target, job, confinement)
            if digest is None:
                return False
            target.rename(self.folder / f"{key}.{digest}")
            self._tidy()
        except (OSError, TimeoutError) as error:
            log.warning("no compiled form of %s is kept: %s", job.model, str(error) or "making it took too long")
            return False
        else:
            return True
        finally:
            self._making.discard(key)
            target.unlink(missing_ok=True)

    async def _made(self, target: Path, job: Job, confinement: Confinement) -> str | None:
        told = (msgspec.json.encode(part).decode() for part in (confinement, job))
        command = (sys.executable, "-P", "-m", "edge_node.worker.compiling", *told)
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
        try:
            assert process.stdout is not None
            digest = await _written(process.stdout, target, self._most)
            return digest if await process.wait() == 0 else None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _tidy(self) -> None:
        """Delete the oldest until the rest fits."""
        found = sorted(((path.stat().st_mtime, path) for path in self.folder.glob("[!.]*")), reverse=True)
        held = 0
        for _, path in found:
            held += path.stat().st_size
            if held > self._most:
                path.unlink(missing_ok=True)


async def _written(stream: asyncio.StreamReader, target: Path, most: int) -> str | None:
    """Copy a stream to a new file; its SHA-256, None where it is empty or longer than the most."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while chunk := await stream.read(_CHUNK):
            size += len(chunk)
            if size > most:
                return None
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    return digest.hexdigest() if size else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
