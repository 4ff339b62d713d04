"""The proof that a bundle's variants run here: golden vectors compared, latency measured, nothing decided.

Which variant serves is decided from the proofs (`edge_node.engine.select`). This runs in a worker: a hostile or
broken model may take the process with it.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import msgspec

from edge_node.engine.catalog import find
from edge_node.engine.proof import VariantProof
from edge_node.errors import BadInput, NearfieldError
from edge_node.pipeline.agree import agrees, boxes_agreement, top1_agreement, values_agreement
from edge_node.pipeline.bundle import Bundle, open_variant
from edge_node.pipeline.decoders import decoder_for
from edge_node.pipeline.golden import Floats, outputs_of, read_vector
from edge_node.pipeline.inputs import Prepared
from edge_node.pipeline.latency import RUNS, measure_latency, percentile
from edge_node.pipeline.postprocess import output_named
from edge_node.pipeline.runner import Runner
from edge_node.rungs import Rung
from protos.bundle import Agree, Variant
from protos.result import Detected

Outputs = tuple[Floats, ...]
"""Of one vector, in the model's order."""


AGAIN_RUNS = 10


def prove(
    bundle: Bundle, *, variant: str | None = None, threads: int = 1, again: bool = False, rung: Rung | None = None
) -> tuple[VariantProof, ...]:
    """Try the bundle's variants on this device: all, or the one named. What fails is said in its proof.

    They are tried on `rung`, or each with its own engine on the processor. With `again` they are measured only, in
    fewer runs: golden vectors do not change their mind.

    Raises:
        BadInput: the bundle has no variant of that name.
    """
    wanted = [one for one in bundle.manifest.variants if variant in (None, one.file)]
    if not wanted:
        names = ", ".join(one.file for one in bundle.manifest.variants)
        raise BadInput(f"{bundle.folder} has no variant {variant!r}: it has {names}")
    return tuple(prove_variant(bundle, one, threads=threads, again=again, rung=rung) for one in wanted)


def prove_variant(
    bundle: Bundle, variant: Variant, *, threads: int = 1, again: bool = False, rung: Rung | None = None
) -> VariantProof:
    """Load, compare and measure one variant."""
    rung = rung or Rung(variant.engine)
    proof = VariantProof(variant.file, rung.engine, "", rung.accelerator, threads, vectors=0, agrees=False)
    try:
        begun = time.perf_counter()
        engine = find(rung.engine)
        proof = msgspec.structs.replace(proof, engine_version=engine.version)
        open_with = partial(engine.open, threads=threads, rung=rung)
        with closing(open_variant(bundle, variant.file, threads=threads, open_with=open_with)) as runner:
            load_ms = (time.perf_counter() - begun) * 1e3
            proof = msgspec.structs.replace(proof, load_ms=load_ms)
            proof = msgspec.structs.replace(proof, agrees=True) if again else _compared(proof, runner, bundle)
            return _measured(proof, runner, AGAIN_RUNS if again else RUNS)
    except NearfieldError as error:
        return msgspec.structs.replace(proof, error=str(error), agrees=False)


def _compared(proof: VariantProof, runner: Runner, bundle: Bundle) -> VariantProof:
    golden = bundle.manifest.golden
    if golden is None:
        return msgspec.structs.replace(proof, agrees=True)
    vectors = [read_vector(path) for path in bundle.golden]
    actual = [outputs_of(runner, vector.inputs) for vector in vectors]
    agreement = _agreement(runner, golden.agree, [vector.outputs for vector in vectors], actual)
    return msgspec.structs.replace(
        proof,
        vectors=len(vectors),
        agrees=agrees(golden.agree, agreement, golden.tolerance),
        agreement=agreement,
        tolerance=golden.tolerance,
    )


def _agreement(runner: Runner, how: Agree, expected: Sequence[Outputs], actual: Sequence[Outputs]) -> float:
    for want, have in zip(expected, actual, strict=True):
        shapes = [[one.shape for one in arrays] for arrays in (want, have)]
        if shapes[0] != shapes[1]:
            raise BadInput(f"the golden outputs have the shapes {shapes[0]}, the model's {shapes[1]}: make them again")
    if how is Agree.TOP1:
        given = runner.manifest.outputs
        place = runner.session.outputs.index(output_named(given[0].name if given else None, runner.session.outputs))
        return top1_agreement([one[place] for one in expected], [one[place] for one in actual])
    if how is Agree.BOXES:
        return boxes_agreement(_boxes(runner, expected), _boxes(runner, actual))
    return values_agreement([one for each in expected for one in each], [one for each in actual for one in each])


def _boxes(runner: Runner, outputs: Sequence[Outputs]) -> list[tuple[Detected, ...]]:
    """The boxes of dequantized outputs, in 0..1 of the model's input."""
    specs = [replace(spec, dtype="float32", scale=None, zero_point=None) for spec in runner.session.outputs]
    decode = decoder_for(runner.manifest, specs, (), runner.options, runner.size)
    named = [dict(zip((spec.name for spec in specs), arrays, strict=True)) for arrays in outputs]
    return [decode(arrays, Prepared({})) for arrays in named]  # type: ignore[misc]


def _measured(proof: VariantProof, runner: Runner, runs: int) -> VariantProof:
    runner.warm()
    taken = measure_latency(runner, runs=runs)
    return msgspec.structs.replace(proof, p50_ms=percentile(taken, 50), p95_ms=percentile(taken, 95))
