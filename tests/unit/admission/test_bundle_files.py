"""Which golden vectors, labels, manifests and bundles are admitted."""

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.admission.bundle import admit_bundle, content_of
from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed
from protos.admission.npz import check_npz
from protos.admission.text import check_labels, check_toml, manifest_text
from protos.bundle import parse_manifest
from tests.hostile.bundle_files import archive, header
from tests.hostile.onnx_files import add, model_of, weights_at
from tests.hostile.tflite_files import small

TOML = """
name = "m"
task = "classification"
[[variants]]
file = "sub/m.onnx"
engine = "onnxruntime"
[[variants]]
file = "m.tflite"
engine = "litert"
[[variants]]
file = "m.stub"
engine = "stub"
[[outputs]]
decode = "classification"
labels = "l.txt"
[golden]
"""


def vector(*, packed: bool = True, **arrays: np.ndarray) -> bytes:
    """As numpy writes it."""
    content = io.BytesIO()
    save = np.savez_compressed if packed else np.savez
    save(content, **{name.replace("_", "."): array for name, array in arrays.items()})  # type: ignore[arg-type]
    return content.getvalue()


ONE = vector(input_0=np.zeros((8, 8, 3), np.uint8), output_0=np.zeros(4, np.float32))


def refuse(said: str, content: bytes, limits: Limits = LIMITS) -> None:
    with pytest.raises(Inadmissible, match=said):
        check_npz(memoryview(content), limits)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3), np.float32),
        np.float32(1),
        np.zeros(5, np.int64),
        np.zeros((4, 4), order="F"),
        np.zeros(0, bool),
        np.zeros(3, ">f4"),
    ],
    ids=["floats", "scalar", "ints", "fortran", "empty", "swapped"],
)
def test_vectors_as_numpy_writes_them_are_admitted(array: np.ndarray, packed: bool) -> None:
    check_npz(memoryview(vector(packed=packed, input_0=array, output_0=np.zeros((1, 1001), np.float32))))


def test_a_vector_is_measured_unpacked() -> None:
    refuse("more than 300 bytes once unpacked", ONE, replace(LIMITS, vector_bytes=300))
    refuse("2 arrays; at most 1", ONE, replace(LIMITS, vector_arrays=1))
    refuse("input.0.npy of more than 191 values", ONE, replace(LIMITS, tensor_elements=191))


def test_an_array_has_what_its_header_says() -> None:
    good = header("'<f4'", "(1,)") + bytes(4)
    check_npz(memoryview(archive(input_0=good)))
    refuse("says 1 values and has", archive(input_0=good + b"x"))
    refuse("negative axis", archive(input_0=header("'<f4'", "(-1,)")))
    for descr, shape in (("'|O'", "(1,)"), ("[('a', '<f4')]", "(1,)"), ("'<f4'", "(1,"), ("'<U9'", "(1,)")):
        refuse("no array of numbers as numpy writes it", archive(input_0=header(descr, shape)))


def test_an_archive_with_anything_else_is_malformed() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("input.0.npy", b"x")
        made.comment = b"hidden"
    refuse("no archive of arrays", content.getvalue())
    refuse("no archive of arrays", b"in front" + ONE)
    refuse("no archive of arrays", b"")
    refuse("no input or output", archive(other_0=b"x"))
    bzip = io.BytesIO()
    with zipfile.ZipFile(bzip, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("input.0.npy", b"x")
    refuse("packed by method 12", bzip.getvalue())
    info = zipfile.ZipInfo("input.0.npy")
    info.comment = b"hidden"
    noted = io.BytesIO()
    with zipfile.ZipFile(noted, "w") as made:
        made.writestr(info, b"x")
    refuse("a directory with more than arrays", noted.getvalue())


def test_an_archive_whose_directory_lies_is_malformed() -> None:
    end = len(ONE) - 22
    refuse("does not end where it says", ONE[: end + 10] + b"\1\0" + ONE[end + 12 :])
    start = int.from_bytes(ONE[end + 16 : end + 20], "little")
    refuse("is outside the archive", ONE[: start + 42] + b"\5\0\0\0" + ONE[start + 46 :])
    moved = bytearray(ONE)
    moved[0] ^= 1
    refuse("is outside the archive", bytes(moved))
    broken = bytearray(archive(input_0=header("'<f4'", "(1,)") + bytes(4)))
    broken[41] = 0xFF
    refuse("cannot be unpacked", bytes(broken))


@given(st.data())
def test_a_changed_vector_gives_nothing_but_the_refusal(data: st.DataObject) -> None:
    content = bytearray(ONE)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Inadmissible):
        check_npz(memoryview(bytes(content)))


@given(st.binary(max_size=200))
def test_no_bytes_give_anything_but_the_refusal(content: bytes) -> None:
    for check in (check_npz, check_labels):
        with suppress(Inadmissible):
            check(memoryview(content))


def test_labels_are_short_lines_of_text() -> None:
    limits = Limits(label_bytes=20, labels=3, label_length=8)
    check_labels(memoryview("a\nbé\n".encode()), limits)
    check_labels(memoryview(b""), limits)
    for content, said in (
        (b"a" * 21, "labels of 21 bytes; at most 20"),
        (b"a\n" * 4, "4 labels; at most 3"),
        (b"a" * 9, "a label of 9 characters"),
        (b"\xff", "no text"),
    ):
        with pytest.raises(Inadmissible, match=said):
            check_labels(memoryview(content), limits)


@pytest.mark.parametrize(
    "text",
    [
        "a.b = 1",
        'a = "' + "x." * 40 + '"',
        "a = '''\n" + "x." * 40 + "\n'''",
        "# " + "x." * 40,
        'a = "unclosed',
        "v = 1.5.2",
    ],
)
def test_texts_with_short_keys_are_taken(text: str) -> None:
    check_toml(text)


@pytest.mark.parametrize(
    "text", ["x" + ".x" * 20 + " = 1", "[" + '"a" . ' * 20 + "b]", 'a = {b = """c"d""", ' + '"a".' * 20 + 'b = 1} # "']
)
def test_long_keys_are_refused(text: str) -> None:
    with pytest.raises(Inadmissible, match="a key of more than 16 parts"):
        check_toml(text)


def test_no_more_of_a_manifest_is_read_than_shows_that_it_is_too_large() -> None:
    file = io.BytesIO(b"a" * 1000)
    with pytest.raises(Inadmissible, match="more than 10 bytes"):
        manifest_text(file, Limits(manifest_bytes=10))
    assert file.tell() == 11
    with pytest.raises(Malformed, match="no text in UTF-8"):
        manifest_text(io.BytesIO(b"\xff"))
    with pytest.raises(Inadmissible, match="a text of 11 bytes"):
        check_toml("a" * 11, Limits(manifest_bytes=10))


WHOLE = {
    "sub/m.onnx": weights_at("w.bin"),
    "sub/w.bin": bytes(16),
    "m.tflite": small(),
    "m.stub": b"anything",
    "l.txt": b"a\nb\n",
    "golden/000.npz": ONE,
}


def admit(files: Mapping[str, bytes], limits: Limits = LIMITS) -> None:
    sizes = {path: len(content) for path, content in files.items()}
    admit_bundle(parse_manifest(TOML), sizes, lambda path: memoryview(files[path]), limits)


def test_a_bundle_in_order_is_admitted_with_weights_beside_its_model() -> None:
    admit(WHOLE)


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("sub/m.onnx", weights_at("../l.txt"), r"^sub/m.onnx is refused: it keeps weights at '../l.txt', outside its"),
        ("sub/m.onnx", weights_at("v.bin"), r"^sub/m.onnx is refused: it keeps weights in 'v.bin'"),
        ("sub/m.onnx", model_of([add()])[:-3], r"^sub/m.onnx is not an ONNX model, or it is truncated \(.*\): make or"),
        ("m.tflite", small()[:100], r"^m.tflite is not a TFLite model, or it is truncated"),
        ("golden/000.npz", b"PK", r"^golden/000.npz is not a golden vector, or it is truncated"),
        ("l.txt", b"\xff", r"^l.txt is not a text with a label per line"),
        ("l.txt", b"a" * 5000, r"^l.txt is refused: a label of 5000 characters"),
    ],
)
def test_the_file_that_is_refused_is_named(path: str, content: bytes, said: str) -> None:
    with pytest.raises(Inadmissible, match=said):
        admit({**WHOLE, path: content})


def test_files_are_measured_before_they_are_opened() -> None:
    sizes = {path: len(content) for path, content in WHOLE.items()}
    for path, most in (("m.tflite", 2**31), ("golden/000.npz", 2**29), ("l.txt", 2**23)):
        with pytest.raises(Inadmissible, match=rf"^{path} is refused: .* of {most} bytes; at most"):
            admit_bundle(parse_manifest(TOML), {**sizes, path: most}, lambda name: memoryview(WHOLE[name]), LIMITS)
    with pytest.raises(Inadmissible, match=r"names files that are not in the bundle: m\.stub"):
        admit({path: content for path, content in WHOLE.items() if path != "m.stub"})


def test_a_file_is_mapped_where_it_is_not_too_large(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    with (tmp_path / "f").open("rb") as file:
        assert bytes(content_of(file)) == b"content"
        with pytest.raises(Inadmissible, match="a file of 7 bytes; at most 6"):
            content_of(file, 6)
    (tmp_path / "f").write_bytes(b"")
    with (tmp_path / "f").open("rb") as file:
        assert bytes(content_of(file)) == b""
