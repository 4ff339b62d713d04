"""A bundle folder made from raw model files: drafted, copied, given golden vectors, proven; named only when whole.

    built = build(Order(name, files, output, answers), samples, prove, apart)

No model is opened in the caller's process. Everything is made in a folder beside the output and renamed at the end,
so that a bundle that failed half-way is never there.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from edge_node.authoring.draft import Answers, ModelFile, draft, golden_of, output_step
from edge_node.authoring.heads import activation_of
from edge_node.authoring.toml import manifest_toml
from edge_node.engine.admission import admit
from edge_node.engine.catalog import for_file
from edge_node.engine.proof import VariantProof
from edge_node.errors import BadInput
from edge_node.pipeline.bundle import open_variant, read_bundle
from edge_node.pipeline.golden import Vector, make_vector, read_vector, vector_bytes
from edge_node.pipeline.runner import Runner, Sample
from protos.bundle import MANIFEST, Agree, Golden, Manifest, Task, Variant

MAX_GOLDEN = 32
"""Golden vectors that are made at most: each node runs them all before it serves."""

Samples = Callable[[Runner], Iterable[Sample]]
Prove = Callable[[Path, Sequence[Variant]], tuple[VariantProof, ...]]
"""Proves variants of the bundle in a folder, in a process that they may take with them."""
Apart = Callable[[str, Callable[[], bytes], Path], bytes]
"""Does the work of a name on a model file or a bundle in such a process, and brings what it made."""


@dataclass(frozen=True)
class Order:
    """What is to be made. `labels` is copied; `agree` and `tolerance` override what the task would take."""

    name: str
    files: tuple[Path, ...]
    output: Path
    answers: Answers
    labels: Path | None = None
    agree: Agree | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Built:
    """A bundle that lies in a staging folder, with the proof of every variant on this machine."""

    staging: Path
    models: tuple[ModelFile, ...]
    manifest: Manifest
    proofs: tuple[VariantProof, ...]

    @property
    def disagreeing(self) -> tuple[VariantProof, ...]:
        """The variants that do not reproduce the first one's answers."""
        return tuple(proof for proof in self.proofs if not proof.agrees)

    def finish(self, output: Path) -> None:
        """Give the folder its name."""
        self.staging.rename(output)


def build(order: Order, samples: Samples | None, prove: Prove, apart: Apart) -> Built:
    """The bundle in a staging folder; the caller finishes it or removes it.

    Args:
        order: what is to be made.
        samples: gives the golden inputs for a loaded model; None: no golden vectors.
        prove: how variants are proven.
        apart: how models are opened.

    Raises:
        BadInput: the output is taken, a file is no model, or something cannot be known from the files.
        EngineFailed: the reference variant gave up on a golden input.
    """
    _check_output(order.output)
    _check_names([path.name for path in (*order.files, order.labels) if path is not None])
    models = read_models(order.files, apart)
    manifest = draft(order.name, models, order.answers)
    staging = _staging(order.output)
    try:
        manifest = _copied(manifest, order, staging)
        if samples is not None:
            _write(manifest, staging)
            manifest = _with_golden(manifest, order, models, _golden(manifest, staging, samples, apart))
        _write(manifest, staging)
        return Built(staging, tuple(models), manifest, prove(staging, manifest.variants))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def read_models(files: Sequence[Path], apart: Apart) -> list[ModelFile]:
    """What each file says, read through its engine.

    Raises:
        BadInput: not a model, or no engine for it here.
    """
    return [
        msgspec.msgpack.decode(apart(file.name, partial(_read_model, file), file), type=ModelFile) for file in files
    ]


def _read_model(file: Path) -> bytes:
    """A `ModelFile`, encoded."""
    if not file.is_file():
        raise BadInput(f"{file}: no such file: give .tflite and .onnx files of one network")
    engine = for_file(file)
    session = engine.open(file, threads=1)
    try:
        return msgspec.msgpack.encode(ModelFile(file.name, engine.name, session.inputs, session.outputs))
    finally:
        session.close()


def _check_output(output: Path) -> None:
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists():
        raise BadInput(f"{output} is there already: name a new folder with -o")


def _staging(output: Path) -> Path:
    """An empty folder beside the output."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise BadInput(f"{output} cannot be made ({error.strerror}): name another folder with -o") from None
    staging.chmod(0o755)
    return staging


def _check_names(names: list[str]) -> None:
    taken = [MANIFEST, *names]
    twice = next((name for name in names if taken.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two files would be called {twice}: a bundle needs them under different names")


def _copied(manifest: Manifest, order: Order, staging: Path) -> Manifest:
    """The manifest with the files that the models need beside them, all of them copied."""
    others: list[str] = []
    for file in order.files:
        shutil.copyfile(file, staging / file.name)
        for name in admit(file, for_file(file).name):
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.parent / name, staging / name)
            others.append(name)
    if order.labels is not None:
        shutil.copyfile(order.labels, staging / order.labels.name)
    return msgspec.structs.replace(manifest, files=tuple(dict.fromkeys(others)))


def _golden(manifest: Manifest, staging: Path, samples: Samples, apart: Apart) -> list[Vector]:
    """The golden vectors, written: what the first variant answers is the reference."""
    folder = staging / "golden"
    write_vectors(folder, vectors_of(staging, manifest.variants[0].file, samples, apart))
    return [read_vector(path) for path in sorted(folder.iterdir())]


def vectors_of(folder: Path, variant: str, samples: Samples, apart: Apart) -> list[bytes]:
    """The `.npz` files of a variant's answers to samples, `MAX_GOLDEN` at most.

    Raises:
        BadInput, EngineFailed: there are no samples, they do not fit, or the variant gave up.
    """
    return msgspec.msgpack.decode(apart(variant, partial(_vectors, folder, variant, samples), folder), type=list[bytes])


def write_vectors(folder: Path, vectors: Iterable[bytes]) -> None:
    """Write golden vectors into a new folder."""
    folder.mkdir()
    for number, content in enumerate(vectors):
        (folder / f"{number:03d}.npz").write_bytes(content)


def _vectors(staging: Path, variant: str, samples: Samples) -> bytes:
    """The `.npz` files of a variant's answers, encoded."""
    runner = open_variant(read_bundle(staging), variant)
    try:
        made = [vector_bytes(make_vector(runner, sample)) for sample in islice(samples(runner), MAX_GOLDEN)]
    finally:
        runner.close()
    if not made:
        raise BadInput("--golden gave no sample: name photos or other inputs of the model")
    return msgspec.msgpack.encode(made)


def _with_golden(manifest: Manifest, order: Order, models: Sequence[ModelFile], vectors: Sequence[Vector]) -> Manifest:
    """The manifest with its golden section."""
    golden = _overridden(golden_of(manifest.task, output_step(models)), order)
    return _with_activation(msgspec.structs.replace(manifest, golden=golden), order, vectors)


def _overridden(golden: Golden, order: Order) -> Golden:
    if order.agree is not None:
        golden = msgspec.structs.replace(golden, agree=order.agree)
    return golden if order.tolerance is None else msgspec.structs.replace(golden, tolerance=order.tolerance)


def _with_activation(manifest: Manifest, order: Order, vectors: Sequence[Vector]) -> Manifest:
    """A classifier's outputs say by their values whether they are logits; what the author said goes first."""
    if manifest.task is not Task.CLASSIFICATION or order.answers.outputs.activation is not None:
        return manifest
    scores = np.concatenate([vector.outputs[0].reshape(-1) for vector in vectors])
    output = msgspec.structs.replace(manifest.outputs[0], activation=activation_of(scores))
    return msgspec.structs.replace(manifest, outputs=(output,))


def _write(manifest: Manifest, folder: Path) -> None:
    (folder / MANIFEST).write_text(manifest_toml(manifest), encoding="utf-8")
