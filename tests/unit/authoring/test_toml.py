"""`model.toml` as text: what is written is read back, whatever the manifest."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from edge_node.authoring.toml import manifest_toml
from protos.bundle import Agree, Golden, Input, Manifest, Output, Slo, Task, Variant, parse_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=1e-300, allow_infinity=False)
FILES = st.from_regex(r"[a-zé \"#']{1,8}", fullmatch=True)

INPUTS = st.one_of(
    st.builds(
        Input,
        name=st.none() | TEXT,
        kind=st.just("image"),
        fit=st.sampled_from(["stretch", "letterbox", "crop"]),
        mean=st.none() | st.tuples(FLOATS),
        std=st.none() | st.tuples(POSITIVE),
        pad=st.integers(0, 255),
    ),
    st.builds(Input, kind=st.just("constant"), value=FLOATS, name=TEXT),
    st.builds(Input, kind=st.just("state"), source=TEXT),
    st.builds(Input, kind=st.just("audio"), rate=st.integers(1), window=st.integers(1, 9), context=st.integers(0, 9)),
)
OUTPUTS = st.builds(
    Output,
    decode=st.sampled_from(["classification", "detection", "anomaly", "tensor"]),
    labels=st.none() | FILES,
    top_k=st.integers(1, 2**40),
    score_threshold=st.floats(0, 1),
    threshold=st.none() | FLOATS,
)
MANIFESTS = st.builds(
    Manifest,
    name=st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True),
    task=st.sampled_from(Task),
    variants=st.lists(FILES, min_size=1, max_size=3, unique=True).map(
        lambda names: tuple(Variant(file=f"{name}.onnx", engine="onnxruntime") for name in names)
    ),
    inputs=st.lists(INPUTS, max_size=3).map(tuple),
    outputs=st.lists(OUTPUTS, max_size=3).map(tuple),
    golden=st.none() | st.builds(Golden, agree=st.sampled_from(Agree), tolerance=st.floats(0, allow_infinity=False)),
    slo=st.none() | st.builds(Slo, p95_ms=POSITIVE),
    description=TEXT,
    files=st.lists(FILES, max_size=2).map(tuple),
)


@given(MANIFESTS)
def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    assert parse_manifest(manifest_toml(manifest)) == manifest


def test_what_matters_is_spelled_out_though_it_is_default() -> None:
    text = manifest_toml(
        Manifest(
            name="m",
            task=Task.CLASSIFICATION,
            variants=(Variant(file="m.onnx", engine="onnxruntime"),),
            inputs=(Input(kind="image"),),
            outputs=(Output(decode="classification"),),
            golden=Golden(),
        )
    )
    document = tomllib.loads(text)
    assert document["inputs"] == [{"kind": "image", "fit": "stretch", "resize": "bilinear", "color": "rgb"}]
    assert document["outputs"] == [{"decode": "classification", "top_k": 1}]
    assert document["golden"] == {"vectors": "golden/*.npz", "agree": "top1", "tolerance": 1.0}
    assert "# stretch | letterbox | crop" in text
