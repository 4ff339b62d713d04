"""How a file of the corpus is looked at: as a bundle's, by its suffix."""

from pathlib import Path

from protos.admission.bundle import FORMATS, admit_model, content_of, naming
from protos.admission.limits import LIMITS, Limits
from protos.admission.npz import check_npz
from protos.admission.text import check_labels, manifest_text
from protos.bundle import parse_manifest

ENGINES = {".onnx": "onnxruntime", ".tflite": "litert"}


def look(path: Path, limits: Limits = LIMITS) -> None:
    """Return if the file is admitted; a model may read no other file."""
    with path.open("rb") as file:
        engine = ENGINES.get(path.suffix)
        if engine is not None:
            with naming(path.name, FORMATS[engine]):
                admit_model(engine, content_of(file, limits.model_bytes), lambda _: None, limits)
        elif path.suffix == ".npz":
            check_npz(content_of(file, limits.vector_bytes), limits)
        elif path.suffix == ".txt":
            check_labels(content_of(file, limits.label_bytes), limits)
        else:
            parse_manifest(manifest_text(file, limits))
