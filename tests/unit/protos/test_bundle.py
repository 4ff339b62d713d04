"""`model.toml`: what is read, and every complaint about what is not right."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.bundle import (
    Agree,
    Golden,
    Input,
    Manifest,
    Output,
    Task,
    Variant,
    checked_path,
    golden_files,
    missing_files,
    named_files,
    parse_manifest,
)
from protos.errors import ContractError
from protos.strict import convert

HEAD = 'name = "m"\ntask = "classification"\n'
VARIANT = '[[variants]]\nfile = "m.tflite"\nengine = "litert"\n'

CONTRACT = """
name = "mobilenet-v2"
task = "classification"

[[variants]]
file = "mobilenet_v2_int8.tflite"
engine = "litert"
[[variants]]
file = "mobilenet_v2_int8.onnx"
engine = "onnxruntime"

[[inputs]]
kind = "image"
fit = "stretch"
resize = "bilinear"
[[outputs]]
decode = "classification"
labels = "labels.txt"
top_k = 3

[golden]
vectors = "golden/*.npz"
agree = "top1"
tolerance = 1.0
[slo]
p95_ms = 50
"""


def test_the_manifest_of_the_contract_is_read() -> None:
    manifest = parse_manifest(CONTRACT)
    assert manifest.name == "mobilenet-v2"
    assert manifest.task is Task.CLASSIFICATION
    assert [variant.engine for variant in manifest.variants] == ["litert", "onnxruntime"]
    assert manifest.inputs == (Input(kind="image"),)
    assert manifest.outputs == (Output(decode="classification", labels="labels.txt", top_k=3),)
    assert manifest.golden == Golden(agree=Agree.TOP1)
    assert manifest.slo is not None
    assert manifest.slo.p95_ms == 50


def test_constant_and_state_inputs_are_read_with_their_keys() -> None:
    manifest = parse_manifest(
        HEAD
        + 'inputs = [{ kind = "state", name = "state", from = "stateN" }, '
        + '{ kind = "constant", name = "sr", value = 16000 }]\n'
        + VARIANT
    )
    assert manifest.inputs[0].source == "stateN"
    assert manifest.inputs[1].value == 16000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "not TOML"),
        ('name = "m"\n', "task"),
        (HEAD, "variants"),
        (HEAD + "variants = []\n", "name at least one"),
        ('name = "Not A Name"\ntask = "tensor"\n' + VARIANT, "is not a name"),
        ('name = "m"\ntask = "clasification"\n' + VARIANT, "clasification"),
        (HEAD + VARIANT + "[[outputs]]\ndecode = 'tensor'\ntopk = 1\n", "did you mean 'top_k'?"),
        (HEAD + VARIANT + "[[outputs]]\ndecode = 'tensor'\ntop_k = 0\n", "must be at least 1"),
        (HEAD + VARIANT + "[[outputs]]\ndecode = 'detection'\nboxes = 'b'\n", "names boxes alone"),
        (HEAD + VARIANT + "[[outputs]]\ndecode = 'detection'\nscores = 's'\n", "names scores alone"),
        (HEAD + VARIANT + "[[outputs]]\ndecode = 'tensor'\nlabels = '/etc/passwd'\n", "not a path inside the bundle"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'constant'\n", "needs 'value'"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'state'\n", "needs 'from'"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'audio'\nrate = 16000\n", "needs 'window'"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'series'\n", "needs 'window'"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'image'\nstd = [0.0]\n", "must be above 0"),
        (HEAD + VARIANT + "[[inputs]]\nkind = 'image'\nmean = [1.0]\nstd = [1.0, 2.0]\n", "1 values of mean and 2"),
        (HEAD + VARIANT + "[[inputs]]\nlow = 1\nhigh = 0\n", "low 1 is above high 0"),
        (HEAD + VARIANT + VARIANT, "name each file once"),
        (HEAD + VARIANT.replace(".tflite", ".onnx"), "litert runs .tflite files"),
        (HEAD + VARIANT.replace("m.tflite", "../m.tflite"), "not a path inside the bundle"),
        (HEAD + 'files = ["a//b"]\n' + VARIANT, "not a path inside the bundle"),
        (HEAD + VARIANT + "[slo]\np95_ms = 0\n", "must be above 0"),
        (HEAD + VARIANT + "[golden]\ntolerence = 1\n", "did you mean 'tolerance'?"),
    ],
)
def test_a_manifest_that_is_not_right_is_refused_with_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ContractError) as refusal:
        parse_manifest(text)
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_named_files_are_variants_labels_and_others_once_each() -> None:
    label = Output(decode="classification", labels="l.txt")
    manifest = Manifest(
        name="m",
        task=Task.CLASSIFICATION,
        variants=(Variant(file="a.onnx", engine="onnxruntime"),),
        outputs=(label, label, Output(decode="tensor")),
        files=("a.onnx.data",),
    )
    assert named_files(manifest) == ("a.onnx", "l.txt", "a.onnx.data")
    assert missing_files(manifest, {"a.onnx"}) == ("l.txt", "a.onnx.data")


def test_golden_files_match_the_whole_path_and_come_sorted() -> None:
    manifest = msgspec.structs.replace(parse_manifest(HEAD + VARIANT), golden=Golden())
    present = ["golden/b.npz", "golden/a.npz", "other/golden/c.npz", "golden/deep/d.npz", "golden/e.txt"]
    assert golden_files(manifest, present) == ("golden/a.npz", "golden/b.npz")
    assert golden_files(parse_manifest(HEAD + VARIANT), present) == ()


@pytest.mark.parametrize("path", ["", "/", "/a", "a/", "a//b", "./a", "a/.", "..", "a/../b", "a\\b", "a\0b"])
def test_a_path_that_leaves_the_bundle_or_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(ContractError, match="not a path inside the bundle"):
        checked_path(path)


@given(st.lists(st.text(min_size=1).filter(lambda part: not set(part) & set("/\\\0")), min_size=1))
def test_a_plain_path_of_ordinary_parts_is_itself(parts: list[str]) -> None:
    path = "/".join(parts)
    if {".", ".."} & set(parts):
        with pytest.raises(ContractError):
            checked_path(path)
    else:
        assert checked_path(path) == path


JSON_LIKE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "file", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["name", "task", "variants", "inputs", "outputs", "golden"]), JSON_LIKE))
def test_a_document_of_the_wrong_shape_only_ever_raises_the_contract_error(document: dict[str, Any]) -> None:
    with contextlib.suppress(ContractError):
        assert isinstance(convert(document, Manifest, "model.toml"), Manifest)


@given(st.text())
def test_any_text_is_a_manifest_or_the_contract_error(text: str) -> None:
    with pytest.raises(ContractError):
        parse_manifest(text)
