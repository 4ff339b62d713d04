"""Whether the files of a bundle may be used: each looked at by what the manifest says it is, before anything reads it.

    admit_bundle(manifest, sizes, content)      a whole bundle: every variant, golden vector and label file
    with naming("m.onnx", FORMATS[engine]):
        admit_model(engine, content_of(file), files)    one model file

`sizes` are the files that the bundle lists, in bytes by path; `content` maps one of them. Refusals name the file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import SEEK_END
from mmap import ACCESS_READ, mmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed
from protos.admission.text import check_labels, check_size
from protos.bundle import MANIFEST, Manifest, golden_files, missing_files

if TYPE_CHECKING:
    from protos.admission.onnx_tensors import Files

Buffer = memoryview
Content = Callable[[str], Buffer]

FORMATS = {"onnxruntime": "an ONNX model", "litert": "a TFLite model"}
"""What the files of each engine are."""


def admit_bundle(manifest: Manifest, sizes: Mapping[str, int], content: Content, limits: Limits = LIMITS) -> None:
    """Return if every file that a node would read is within the limits.

    Raises:
        Malformed, Inadmissible: one is not; names it.
    """
    missing = missing_files(manifest, sizes)
    if missing:
        raise Inadmissible(f"{MANIFEST} names files that are not in the bundle: {', '.join(missing)[:200]}")
    for variant in manifest.variants:
        with naming(variant.file, FORMATS.get(variant.engine, "a model")):
            check_size(sizes[variant.file], limits.model_bytes, "a model")
            admit_model(variant.engine, content(variant.file), _beside(variant.file, sizes), limits)
    for path in golden_files(manifest, sizes):
        with naming(path, "a golden vector"):
            check_size(sizes[path], limits.vector_bytes, "a golden vector")
            _check_vector(content(path), limits)
    for path in sorted({output.labels for output in manifest.outputs if output.labels is not None}):
        with naming(path, "a text with a label per line"):
            check_size(sizes[path], limits.label_bytes, "labels")
            check_labels(content(path), limits)


def admit_model(engine: str, content: Buffer, files: "Files", limits: Limits = LIMITS) -> None:
    """Return if a model file is within the limits of what its engine reads; the stub of the tests reads anything.

    Args:
        engine: who runs it.
        content: the file.
        files: those beside it that it may read.
        limits: what is taken.

    Raises:
        Malformed, Inadmissible: it is not.
    """
    check_size(len(content), limits.model_bytes, "a model")
    if engine == "onnxruntime":
        from protos.admission.onnx import check_onnx  # each reader where its format comes: `infer` starts with one

        check_onnx(content, files, limits)
    elif engine == "litert":
        from protos.admission.tflite import check_tflite

        check_tflite(content, limits)


def _check_vector(content: Buffer, limits: Limits) -> None:
    from protos.admission.npz import check_npz

    check_npz(content, limits)


@contextmanager
def naming(path: str, what: str) -> Iterator[None]:
    """Refusals of what is inside begin with the file's name, and with what it should be."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"{path} is not {what}, or it is truncated ({error}): make or copy it again") from None
    except Inadmissible as error:
        raise Inadmissible(f"{path} is refused: {error}") from None


def content_of(file: BinaryIO, most: int = LIMITS.model_bytes) -> Buffer:
    """The content of a file that is open for reading, mapped: what is not looked at costs no memory.

    Raises:
        Inadmissible: it is larger than the most.
    """
    size = file.seek(0, SEEK_END)
    check_size(size, most, "a file")
    # never closed by hand: views into it may live on in a traceback, and the last of them unmaps it
    return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ) if size else b"")


def _beside(model: str, sizes: Mapping[str, int]) -> "Files":
    """The files that a model may read: those of the bundle, by their path from the model's folder."""
    folder = PurePosixPath(model).parent
    return lambda location: sizes.get(str(folder / location))
