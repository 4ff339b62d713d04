"""Variants are measured in turns, each in a worker of its own, and the moment does not decide between them."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, choose
from edge_node.errors import WorkerFailed
from edge_node.rungs import Rung
from edge_node.supervisor.rounds import MORE_ROUNDS, proven_in_rounds
from protos.bundle import Variant
from tests.unit.supervisor.test_effects import RecordingWorker

VARIANTS = [msgspec.convert({"file": file, "engine": "stub"}, Variant) for file in ("a.onnx", "b.onnx")]
QUIET_MS = {"a.onnx": 24.0, "b.onnx": 12.0}


class MeasuringWorker(RecordingWorker):
    """A worker on a device whose load is another at each measurement; `load` multiplies the quiet latency."""

    def __init__(self, load: Iterator[float], turns: list[tuple[str, bool]], **how: list[str]) -> None:
        super().__init__(**how)
        self.load_now, self.turns = load, turns

    async def prove(
        self, bundle: Path, variant: str | None, threads: int, *, again: bool = False, rung: Rung | None = None
    ) -> tuple[VariantProof, ...]:
        (proof,) = await super().prove(bundle, variant, threads)
        self.turns.append((proof.file, again))
        return (msgspec.structs.replace(proof, p95_ms=QUIET_MS[proof.file] * next(self.load_now)),)


def workers(load: list[float], turns: list[tuple[str, bool]], **how: list[str]) -> Callable[[], MeasuringWorker]:
    moments = itertools.cycle(load)
    return lambda: MeasuringWorker(moments, turns, **how)


async def test_the_golden_vectors_are_compared_once_and_the_latency_is_measured_in_turns(tmp_path: Path) -> None:
    turns: list[tuple[str, bool]] = []
    await proven_in_rounds(workers([1.0], turns), tmp_path, VARIANTS, 1)
    files = ["a.onnx", "b.onnx"]
    assert turns == [*((file, False) for file in files), *[(file, True) for file in files] * MORE_ROUNDS]


@pytest.mark.parametrize("start", range(3))
async def test_a_load_that_comes_and_goes_does_not_decide(start: int, tmp_path: Path) -> None:
    load = [1.0, 5.0, 1.0]
    proofs = await proven_in_rounds(workers([*load[start:], *load[:start]], []), tmp_path, VARIANTS, 1)
    choice = choose(proofs)
    assert isinstance(choice, Choice)
    assert (choice.proof.file, choice.proof.p95_ms, choice.proof.vectors) == ("b.onnx", 12.0, 1)


async def test_one_variant_that_agrees_is_measured_once(tmp_path: Path) -> None:
    turns: list[tuple[str, bool]] = []
    proofs = await proven_in_rounds(workers([1.0], turns, disagree=["b.onnx"]), tmp_path, VARIANTS, 1)
    assert [proof.agrees for proof in proofs] == [True, False]
    assert len(turns) == 2


async def test_a_variant_that_its_worker_died_of_has_no_proof(tmp_path: Path) -> None:
    proofs = await proven_in_rounds(workers([1.0], [], crash_on=["a.onnx"]), tmp_path, VARIANTS, 1)
    assert {proof.file for proof in proofs} == {"b.onnx"}
    with pytest.raises(WorkerFailed, match="SIGSEGV"):
        await proven_in_rounds(workers([1.0], [], crash_on=["a.onnx", "b.onnx"]), tmp_path, VARIANTS, 1)
