"""Proofs of variants on this device, from golden vectors made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_node.errors import BadInput
from edge_node.pipeline.bundle import Bundle, open_variant, read_bundle
from edge_node.pipeline.golden import Vector, make_vector, read_vector, vector_bytes
from edge_node.pipeline.latency import LEAST_RUNS, measure_latency
from edge_node.pipeline.prove import prove
from tests.unit.pipeline.stubs import bundle_folder, scores

FRAME = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GOLDEN = '[golden]\nvectors = "golden/*.npz"\nagree = "{agree}"\ntolerance = {tolerance}\n'


def proven_bundle(
    folder: Path, variants: dict[str, dict[str, Any]], agree: str = "top1", tolerance: float = 1.0, output: str = ""
) -> Bundle:
    """A bundle whose golden vectors the first variant made."""
    (folder / "golden").mkdir(parents=True)
    runner = open_variant(read_bundle(bundle_folder(folder, variants=variants, output=output)), next(iter(variants)))
    for number in range(2):
        (folder / "golden" / f"{number}.npz").write_bytes(vector_bytes(make_vector(runner, FRAME)))
    more = GOLDEN.format(agree=agree, tolerance=tolerance)
    return read_bundle(bundle_folder(folder, variants=variants, more=more, output=output))


def test_a_variant_that_gives_the_golden_answers_agrees(tmp_path: Path) -> None:
    (proof,) = prove(proven_bundle(tmp_path, {"a.stub": {}}))
    assert (proof.file, proof.engine, proof.accelerator, proof.error) == ("a.stub", "stub", "cpu", "")
    assert (proof.vectors, proof.agrees, proof.agreement, proof.tolerance) == (2, True, 1.0, 1.0)
    assert 0 < proof.p50_ms <= proof.p95_ms
    assert proof.load_ms > 0


def test_a_variant_that_disagrees_is_told_apart(tmp_path: Path) -> None:
    variants = {"a.stub": {}, "b.stub": {"outputs": [scores(0.9, 0.0, 0.1)]}}
    good, bad = prove(proven_bundle(tmp_path, variants))
    assert (good.agrees, bad.agrees) == (True, False)
    assert (bad.agreement, bad.error) == (0.0, "")


def test_the_best_class_is_that_of_the_output_that_is_decoded(tmp_path: Path) -> None:
    """Another output stands first here, and differs."""
    outputs = [{"name": "features", "dtype": "float32", "shape": [1, 2], "values": [0, 1]}, scores(0.1, 0.7, 0.2)]
    others = [{**outputs[0], "values": [1, 0]}, outputs[1]]
    variants = {"a.stub": {"outputs": outputs}, "b.stub": {"outputs": others}}
    bundle = proven_bundle(tmp_path, variants, output="scores")
    assert [proof.agreement for proof in prove(bundle)] == [1.0, 1.0]


@pytest.mark.parametrize(("tolerance", "agrees"), [(0.06, True), (0.04, False)])
def test_values_are_compared_dequantized(tmp_path: Path, tolerance: float, agrees: bool) -> None:
    close = {"name": "scores", "dtype": "int8", "shape": [1, 3], "scale": 0.05, "zero_point": -1, "values": [1, 14, 3]}
    _, proof = prove(proven_bundle(tmp_path, {"a.stub": {}, "b.stub": {"outputs": [close]}}, "values", tolerance))
    assert proof.agreement == pytest.approx(0.05, abs=1e-6)
    assert proof.agrees is agrees


def test_what_cannot_run_says_why_and_does_not_stop_the_others(tmp_path: Path) -> None:
    variants = {"a.stub": {}, "b.stub": {"more": {"fail_from": 0}}, "c.stub": {}}
    bundle = proven_bundle(tmp_path, variants)
    (tmp_path / "c.stub").write_text("no model")
    good, failing, broken = prove(bundle)
    assert good.agrees
    assert (failing.agrees, failing.error) == (False, "the stub fails from run 0 on")
    assert not broken.agrees
    assert "c.stub is not a stub model" in broken.error


def test_a_model_that_fails_while_it_is_measured_does_not_agree(tmp_path: Path) -> None:
    bundle = proven_bundle(tmp_path, {"a.stub": {}, "b.stub": {"more": {"fail_from": 5}}})
    proof = prove(bundle, variant="b.stub")[0]
    assert (proof.agrees, proof.vectors, proof.error) == (False, 2, "the stub fails from run 5 on")


def test_without_golden_vectors_a_variant_that_runs_agrees_unproven(tmp_path: Path) -> None:
    (proof,) = prove(read_bundle(bundle_folder(tmp_path, variants={"a.stub": {}})))
    assert (proof.vectors, proof.agrees, proof.agreement) == (0, True, None)


def test_only_the_named_variant_is_tried(tmp_path: Path) -> None:
    bundle = read_bundle(bundle_folder(tmp_path, variants={"a.stub": {}, "b.stub": {}}))
    assert [proof.file for proof in prove(bundle, variant="b.stub")] == ["b.stub"]
    with pytest.raises(BadInput, match=r"has no variant 'c\.stub': it has a\.stub, b\.stub"):
        prove(bundle, variant="c.stub")


def test_golden_outputs_of_another_shape_are_said(tmp_path: Path) -> None:
    bundle = proven_bundle(tmp_path, {"a.stub": {}, "b.stub": {"outputs": [scores(0.5, 0.5)]}})
    (tmp_path / "labels.txt").unlink()
    proof = prove(Bundle(bundle.folder, bundle.manifest, (), bundle.golden), variant="b.stub")[0]
    assert proof.error == "the golden outputs have the shapes [(1, 3)], the model's [(1, 2)]: make them again"


def test_a_vector_is_written_the_same_every_time_and_read_back(tmp_path: Path) -> None:
    vector = Vector((FRAME,), (np.array([[0.25, 0.5]], np.float32),))
    for name in ("one.npz", "two.npz"):
        (tmp_path / name).write_bytes(vector_bytes(vector))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    found = read_vector(tmp_path / "one.npz")
    np.testing.assert_array_equal(found.inputs[0], FRAME)
    np.testing.assert_array_equal(found.outputs[0], vector.outputs[0])


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
def test_what_is_no_vector_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"v\.npz is no golden vector .*: make it again"):
        read_vector(tmp_path / "v.npz")


def test_a_vector_without_outputs_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **{"input.0": FRAME})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"it needs arrays named input\.0 and output\.0"):
        read_vector(tmp_path / "v.npz")


def test_pickled_objects_in_a_vector_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **{"input.0": np.array([{"a": 1}], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="is no golden vector"):
        read_vector(tmp_path / "v.npz")


def test_measuring_ends_with_the_budget_but_not_before_five_runs(tmp_path: Path) -> None:
    runner = open_variant(read_bundle(bundle_folder(tmp_path, variants={"a.stub": {}})), "a.stub")
    ticks = iter(range(1000))
    taken = measure_latency(runner, runs=30, budget_s=3, clock=lambda: next(ticks))
    assert len(taken) == LEAST_RUNS
    assert taken == [1000.0] * LEAST_RUNS
    assert len(measure_latency(runner, runs=7, budget_s=60)) == 7
