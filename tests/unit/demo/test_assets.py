"""The demo's assets: small enough to commit, and consistent with each other."""

import msgspec
import numpy as np
import pytest

from coordinator.cli.demo_scene import assets
from coordinator.cli.demo_tally import Truth
from edge_node.pipeline.bundle import read_bundle
from edge_node.pipeline.prove import prove
from protos.bundle import MANIFEST, Manifest, golden_files, missing_files, parse_manifest

ASSETS = assets()
BUNDLE = ASSETS / "inspection"
MAX_BYTES = 1_000_000


def files() -> list[str]:
    return [path.relative_to(BUNDLE).as_posix() for path in sorted(BUNDLE.rglob("*")) if path.is_file()]


def manifest() -> Manifest:
    return parse_manifest((BUNDLE / MANIFEST).read_text(encoding="utf-8"))


def truth() -> Truth:
    return msgspec.json.decode((ASSETS / "clip" / "truth.json").read_bytes(), type=Truth)


def test_all_assets_together_stay_below_a_megabyte() -> None:
    committed = [path for part in ("inspection", "clip") for path in (ASSETS / part).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in committed) < MAX_BYTES


def test_the_bundle_holds_what_its_manifest_names_and_a_vector_of_every_class() -> None:
    assert not missing_files(manifest(), files())
    labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
    golden = [np.load(BUNDLE / name)["output.0"] for name in golden_files(manifest(), files())]
    assert {labels[int(output.argmax())] for output in golden} == set(labels)


def test_every_variant_reproduces_the_golden_vectors_on_this_machine() -> None:
    proofs = prove(read_bundle(BUNDLE))
    assert {proof.engine for proof in proofs} == {"litert", "onnxruntime"}
    assert all(proof.agrees and proof.vectors == 10 for proof in proofs), proofs


def test_the_truth_covers_the_clip_in_order_and_never_claims_two_classes_at_once() -> None:
    known = truth()
    times = [time for interval in known.intervals for time in (interval.from_s, interval.to_s)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= known.duration_s


def test_the_truth_is_as_long_as_the_clip_and_every_defect_appears() -> None:
    av = pytest.importorskip("av")
    with av.open(str(ASSETS / "clip" / truth().clip)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == truth().fps
        assert sum(1 for _ in container.decode(stream)) == round(truth().duration_s * truth().fps)
    assert {interval.label for interval in truth().intervals} == {"good", "scratch", "dent", "missing_hole", "empty"}
