"""Variants proven apart, each in a short-lived worker: confined: a model that crashes costs that worker alone."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from edge_node.engine.installed import engine_versions
from edge_node.engine.proof import VariantProof
from edge_node.errors import WorkerFailed
from edge_node.sandbox.confinement import Confinement
from edge_node.worker.client import ProcessWorker
from protos.bundle import Variant


def prove_apart(folder: Path, variants: Sequence[Variant]) -> tuple[VariantProof, ...]:
    """The proofs of a bundle's variants on this machine; of one that its worker died of, how it died."""
    return asyncio.run(_all(folder, variants))


async def _all(folder: Path, variants: Sequence[Variant]) -> tuple[VariantProof, ...]:
    versions = engine_versions()
    return tuple([await _one(folder, variant, versions.get(variant.engine, "")) for variant in variants])


async def _one(folder: Path, variant: Variant, version: str) -> VariantProof:
    worker = ProcessWorker(Confinement(readable=(str(folder),)))
    try:
        await worker.start_worker()
        (proof,) = await worker.prove(folder, variant.file, threads=1)
    except WorkerFailed as error:
        return VariantProof(variant.file, variant.engine, version, "", 1, vectors=0, agrees=False, error=str(error))
    else:
        return proof
    finally:
        await worker.close()
