"""What `bundle check` finds wrong."""

from edge_node.authoring.check import problems, strays
from edge_node.engine.proof import VariantProof
from protos.bundle import Golden, Manifest, Task, Variant

MANIFEST = Manifest(
    name="m",
    task=Task.TENSOR,
    variants=(Variant(file="m.onnx", engine="onnxruntime"),),
    golden=Golden(),
    files=("m.onnx.data",),
)
WHOLE = ["model.toml", "m.onnx", "m.onnx.data", "golden/a.npz"]


def proof(**said: object) -> VariantProof:
    given = {"file": "m.onnx", "engine": "onnxruntime", "engine_version": "1", "accelerator": "cpu", "threads": 1}
    return VariantProof(**{**given, "vectors": 1, "agrees": True, **said})  # type: ignore[arg-type]


def test_a_whole_bundle_whose_variants_agree_has_no_problems() -> None:
    assert problems(MANIFEST, WHOLE, [], [proof()]) == []


def test_files_that_the_manifest_does_not_name_are_strays() -> None:
    assert strays(MANIFEST, [*WHOLE, "golden/b.txt", "a/golden/c.npz"]) == ["a/golden/c.npz", "golden/b.txt"]


def test_links_strays_and_disagreement_are_each_a_line() -> None:
    bad = proof(agrees=False, agreement=0.5, tolerance=1.0)
    found = problems(MANIFEST, [*WHOLE, "x"], ["m.onnx"], [bad])
    assert [line.split(" ")[0] for line in found] == ["m.onnx", "x", "m.onnx"]
    assert found[2] == "m.onnx disagrees with the golden vectors: 0.5 against 1"


def test_a_variant_that_cannot_run_says_why() -> None:
    assert problems(MANIFEST, WHOLE, [], [proof(agrees=False, error="cut off")]) == ["m.onnx: cut off"]


def test_a_missing_engine_is_a_problem_only_if_no_variant_runs_here() -> None:
    absent = proof(engine_version="", agrees=False, error="get the engine")
    assert problems(MANIFEST, WHOLE, [], [absent, proof()]) == []
    assert problems(MANIFEST, WHOLE, [], [absent]) == ["get the engine"]
