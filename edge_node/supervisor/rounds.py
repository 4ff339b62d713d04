"""Proofs of a bundle's variants on this device, taken in turns, each variant in a worker of its own.

A model that crashes its engine costs that worker alone. Several variants that agree are measured again, one after the
other, round after round: what else the device does meanwhile slows all of them alike, and does not decide between them.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_node.engine.proof import VariantProof
from edge_node.errors import WorkerFailed
from edge_node.worker.messages import Worker
from protos.bundle import Variant

MORE_ROUNDS = 4
"""After the first, whose golden vectors count for all."""


async def proven_in_rounds(
    new_worker: Callable[[], Worker], folder: Path, variants: Sequence[Variant], threads: int
) -> tuple[VariantProof, ...]:
    """The proofs, oldest first; none of a variant that its worker died of.

    Raises:
        WorkerFailed: a worker died, and no other variant agrees.
    """
    workers = {variant.file: new_worker() for variant in variants}
    proofs: list[VariantProof] = []
    deaths: dict[str, WorkerFailed] = {}
    turns = list(workers)
    try:
        for number in range(1 + MORE_ROUNDS):
            for file in turns:
                try:
                    if number == 0:
                        await workers[file].start_worker()
                    proofs += await workers[file].prove(folder, file, threads, again=number > 0)
                except WorkerFailed as error:
                    deaths[file] = error
            turns = _go_on(proofs, deaths)
    finally:
        await asyncio.gather(*(worker.close() for worker in workers.values()))
    found = tuple(proof for proof in proofs if proof.file not in deaths)
    if deaths and not any(proof.agrees for proof in found):
        raise next(iter(deaths.values()))
    return found


def _go_on(proofs: Sequence[VariantProof], deaths: dict[str, WorkerFailed]) -> list[str]:
    """The variants to measure again: those that agree, where there is something to decide between."""
    disagree = {proof.file for proof in proofs if not proof.agrees}
    rivals = list(dict.fromkeys(proof.file for proof in proofs if proof.file not in disagree | deaths.keys()))
    return rivals if len(rivals) > 1 else []
