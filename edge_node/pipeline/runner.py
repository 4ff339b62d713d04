"""One loaded model with its manifest: a sample goes in, an answer comes out.

    runner = open_model(Path("mobilenet/"))          # edge_node.pipeline.bundle
    answer = runner.run(frame)                       # frame: uint8 [height, width, 3], RGB

    prepared = runner.prepare(frame)                 # the three steps by themselves:
    outputs = runner.infer(prepared)                 # prepare and interpret hold no state and may run in
    results = runner.interpret(prepared, outputs)    # another thread than infer, for other frames

`infer` is one caller at a time. A recurrent model's state lives here from `infer` to `infer`; `reset` begins a
stream. What a sample is: an image input takes a frame; audio, series and tensor inputs take the real values of one
step (cut by `edge_node.pipeline.windows`); a model with several such inputs takes a mapping by input name.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_node.engine.base import Array, Session
from edge_node.errors import BadInput
from edge_node.pipeline.detection import Detection
from edge_node.pipeline.inputs import SampleInput, constant_feed, match_inputs, sample_input
from edge_node.pipeline.placement import Placement, Size
from edge_node.pipeline.postprocess import AnomalyScore, Classification, Decoder, Options, Tensors, output_named
from edge_node.pipeline.preprocess import ImageInput
from edge_node.pipeline.tensors import dequantize, static_shape
from protos.bundle import Input, Manifest, Output, Task
from protos.result import Output as Result

Sample = Array | Mapping[str, Array]


@dataclass(frozen=True)
class Prepared:
    """A sample as the model takes it.

    `real` are the first sample input's real values where the answer is a comparison with them; `placement` is
    where the frame lies in the first image input.
    """

    feeds: dict[str, Array]
    placement: Placement | None = None
    real: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Answer:
    """Results in the form of the task's struct of `protos.result`, and where the milliseconds went."""

    outputs: tuple[Result, ...]
    preprocess_ms: float
    infer_ms: float
    postprocess_ms: float


class Runner:
    """A session with the pipeline around it."""

    def __init__(
        self, session: Session, manifest: Manifest, labels: Sequence[str] = (), options: Options | None = None
    ) -> None:
        """Match the manifest with the session's tensors; the session becomes the runner's, which closes it.

        Raises:
            BadInput: they do not fit; says what to change in model.toml.
        """
        self.session = session
        self.manifest = manifest
        self.options = options or Options()
        self.specs = {spec.name: spec for spec in session.inputs}
        matched = match_inputs(manifest.inputs, session.inputs)
        self.samples: dict[str, SampleInput] = {
            spec.name: sample_input(given, spec) for given, spec in matched if given.kind not in ("state", "constant")
        }
        self._constants = {spec.name: constant_feed(given, spec) for given, spec in matched if given.kind == "constant"}
        self._recurrent = {spec.name: self._state_source(given) for given, spec in matched if given.kind == "state"}
        self._state: dict[str, Array] = {}
        self._decode: Decoder | Detection = self._decoder(labels)
        self.reset()

    def prepare(self, sample: Sample) -> Prepared:
        """The feeds of a sample.

        Raises:
            BadInput: the sample does not fit the model.
        """
        feeds: dict[str, Array] = {}
        placement = real = None
        for name, given in self._each(sample).items():
            canonical, where = self.samples[name].fit(given)
            feeds[name] = self.samples[name].encode(canonical)
            placement = placement or where
            if real is None and isinstance(self._decode, AnomalyScore):
                real = dequantize(feeds[name], self.specs[name]) if where else canonical.astype(np.float32, copy=False)
        return Prepared(feeds, placement, real)

    def prepare_canonical(self, canonical: Sequence[Array]) -> Prepared:
        """The feeds of canonical samples in the order of the model's inputs, as golden vectors hold them."""
        feeds = {name: given.encode(one) for (name, given), one in zip(self.samples.items(), canonical, strict=True)}
        return Prepared(feeds)

    def infer(self, prepared: Prepared) -> dict[str, Array]:
        """Run the engine once, with constants and state; the state moves on.

        Raises:
            BadInput, EngineFailed: as the session raises them.
        """
        if not self._constants and not self._recurrent:
            return self.session.run(prepared.feeds)
        outputs = self.session.run({**prepared.feeds, **self._constants, **self._state})
        self._state = {name: outputs[source] for name, source in self._recurrent.items()}
        return outputs

    def interpret(self, prepared: Prepared, outputs: Mapping[str, Array]) -> tuple[Result, ...]:
        """The answer that outputs mean."""
        if isinstance(self._decode, Detection):
            return self._decode(outputs, prepared.placement)
        return self._decode(outputs, prepared.real)

    def run(self, sample: Sample) -> Answer:
        """All three steps, timed.

        Raises:
            BadInput, EngineFailed: of the steps.
        """
        begun = time.perf_counter()
        prepared = self.prepare(sample)
        ready = time.perf_counter()
        outputs = self.infer(prepared)
        inferred = time.perf_counter()
        results = self.interpret(prepared, outputs)
        done = time.perf_counter()
        return Answer(results, (ready - begun) * 1e3, (inferred - ready) * 1e3, (done - inferred) * 1e3)

    def reset(self) -> None:
        """Begin a stream: states are zeros."""
        self._state = {
            name: np.zeros(static_shape(self.specs[name]), np.dtype(self.specs[name].dtype)) for name in self._recurrent
        }

    @property
    def recurrent(self) -> bool:
        """Whether answers depend on the samples before, so that every stream needs a runner of its own."""
        return bool(self._recurrent)

    def close(self) -> None:
        """Close the session. Idempotent."""
        self.session.close()

    def example(self) -> Sample:
        """A sample that fits, to warm and to measure: a 720p frame, or zeros."""
        examples = {name: _example(given, static_shape(self.specs[name])) for name, given in self.samples.items()}
        return next(iter(examples.values())) if len(examples) == 1 else examples

    def _each(self, sample: Sample) -> Mapping[str, Array]:
        if isinstance(sample, Mapping):
            if sample.keys() != self.samples.keys():
                raise BadInput(f"the model takes {', '.join(self.samples)}, the sample has {', '.join(sample)}")
            return sample
        if len(self.samples) != 1:
            raise BadInput(f"the model takes {len(self.samples)} samples at once: {', '.join(self.samples)}")
        return {next(iter(self.samples)): sample}

    def _state_source(self, given: Input) -> str:
        if given.source is None:
            raise BadInput(f"model.toml: the state input {given.name!r} needs from = the output it comes from")
        return output_named(given.source, self.session.outputs).name

    def _decoder(self, labels: Sequence[str]) -> Decoder | Detection:
        sources = set(self._recurrent.values())
        specs = [spec for spec in self.session.outputs if spec.name not in sources]
        given = self.manifest.outputs
        task = self.manifest.task
        if task is Task.TENSOR:
            return Tensors(given, specs)
        first = given[0] if given else Output(decode=task.value) if task in DECODED else None
        if first is None or first.decode != task.value:
            raise BadInput(f"model.toml: the task {task.value!r} needs an output that decodes as {task.value!r}")
        if task is Task.DETECTION:
            return Detection(first, specs, labels, self.options, self.image_size())
        if task is Task.ANOMALY:
            override = self.options.threshold
            return AnomalyScore(first, specs, first.threshold if override is None else override)
        return Classification(first, specs, labels, self.options.top_k or first.top_k)

    def image_size(self) -> Size | None:
        """The size of the first image input."""
        return next((given.size for given in self.samples.values() if isinstance(given, ImageInput)), None)


DECODED = (Task.CLASSIFICATION, Task.DETECTION, Task.ANOMALY)
"""Tasks whose outputs can be read without the manifest saying how."""


def _example(given: SampleInput, shape: tuple[int, ...]) -> Array:
    if isinstance(given, ImageInput):
        return np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    return np.zeros(shape, np.float32)
