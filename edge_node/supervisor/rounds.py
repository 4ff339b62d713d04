"""Proofs of a bundle's variants on this device, taken in turns, each rung of each variant in a worker of its own.

A model that crashes its engine costs that worker alone. Several that agree are measured again, one after the other,
round after round: what else the device does meanwhile slows all of them alike, and does not decide between them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edge_node.engine.installed import installed_engines
from edge_node.engine.ladder import name_of, rungs_of
from edge_node.engine.proof import VariantProof
from edge_node.errors import WorkerFailed
from edge_node.rungs import EngineSettings, Rung
from edge_node.worker.messages import Worker
from protos.bundle import Variant

MORE_ROUNDS = 4
"""After the first, whose golden vectors count for all."""

Key = tuple[str, str]
"""A variant's file and the name of a rung."""


async def proven_in_rounds(
    new_worker: Callable[[], Worker],
    folder: Path,
    variants: Sequence[Variant],
    threads: int,
    rungs: Callable[[Variant], Sequence[Rung | None]] = lambda _: (None,),
) -> tuple[VariantProof, ...]:
    """The proofs, oldest first; none of a variant on a rung that its worker died of.

    Args:
        new_worker: makes one that has not been started.
        folder: of the bundle.
        variants: to be proven.
        threads: of one inference.
        rungs: what a variant is tried on; None: its engine on the processor.

    Raises:
        WorkerFailed: a worker died, and nothing else agrees.
    """
    tried = {_key(variant, rung): rung for variant in variants for rung in rungs(variant)}
    workers = {key: new_worker() for key in tried}
    proofs: list[VariantProof] = []
    deaths: dict[Key, WorkerFailed] = {}
    turns = list(workers)
    try:
        for number in range(1 + MORE_ROUNDS):
            for key in turns:
                try:
                    if number == 0:
                        await workers[key].start_worker()
                    proofs += await workers[key].prove(folder, key[0], threads, again=number > 0, rung=tried[key])
                except WorkerFailed as error:
                    deaths[key] = error
            turns = _go_on(workers, proofs, deaths)
    finally:
        await asyncio.gather(*(worker.close() for worker in workers.values()))
    found = tuple(proof for proof in proofs if _proven(proof) not in deaths)
    if deaths and not any(proof.agrees for proof in found):
        raise next(iter(deaths.values()))
    return found


def rungs_for(settings: EngineSettings, *, golden: bool) -> Callable[[Variant], tuple[Rung, ...]]:
    """What the variants of a bundle are tried on; `golden`: it has golden vectors."""
    here = {found.engine for found in installed_engines()}
    return lambda variant: rungs_of(variant.file, variant.engine, golden, settings, here)


def _key(variant: Variant, rung: Rung | None) -> Key:
    return variant.file, (rung or Rung(variant.engine)).name


def _proven(proof: VariantProof) -> Key:
    return proof.file, name_of(proof)


def _go_on(tried: Iterable[Key], proofs: Sequence[VariantProof], deaths: dict[Key, WorkerFailed]) -> list[Key]:
    """What to measure again: what agrees, where there is something to decide between."""
    agree = {_proven(proof) for proof in proofs if proof.agrees}
    disagree = {_proven(proof) for proof in proofs if not proof.agrees}
    rivals = [key for key in tried if key in agree - disagree - deaths.keys()]
    return rivals if len(rivals) > 1 else []
