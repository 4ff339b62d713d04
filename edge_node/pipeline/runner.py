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
from edge_node.pipeline.decoders import decoder_for
from edge_node.pipeline.inputs import Prepared, SampleInput, constant_feed, example_values, match_inputs, sample_input
from edge_node.pipeline.postprocess import Options, output_named
from edge_node.pipeline.sound import check_sound
from edge_node.pipeline.tensors import dequantize, static_shape
from protos.bundle import Input, Manifest, Task
from protos.result import Output as Result

Sample = Array | Mapping[str, Array]


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
        self._given = {spec.name: given for given, spec in matched}
        self.samples: dict[str, SampleInput] = {
            spec.name: sample_input(given, spec) for given, spec in matched if given.kind not in ("state", "constant")
        }
        self._constants = {spec.name: constant_feed(given, spec) for given, spec in matched if given.kind == "constant"}
        self._recurrent = {spec.name: self._state_source(given) for given, spec in matched if given.kind == "state"}
        self._state: dict[str, Array] = {}
        sources = set(self._recurrent.values())
        answers = [spec for spec in session.outputs if spec.name not in sources]
        self.size = next((one.size for one in self.samples.values() if one.size is not None), None)
        self._decode = decoder_for(manifest, answers, labels, self.options, self.size)
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
            if real is None and self.manifest.task is Task.ANOMALY:
                real = canonical.astype(np.float32) if where is None else dequantize(feeds[name], self.specs[name])
        return Prepared(feeds, placement, real)

    def prepare_canonical(self, canonical: Sequence[Array]) -> Prepared:
        """The feeds of canonical samples in the order of the model's inputs, as golden vectors hold them.

        Raises:
            BadInput: they do not fit the model.
        """
        if len(canonical) != len(self.samples):
            raise BadInput(f"{len(canonical)} canonical samples for a model with {len(self.samples)} sample inputs")
        pairs = zip(self.samples.items(), canonical, strict=True)
        return Prepared({name: given.encode(one) for (name, given), one in pairs})

    def canonical(self, sample: Sample) -> tuple[Array, ...]:
        """A sample before layout and quantization, one array per sample input in the model's order.

        Raises:
            BadInput: the sample does not fit the model.
        """
        return tuple(self.samples[name].fit(given)[0] for name, given in self._each(sample).items())

    def infer(self, prepared: Prepared) -> dict[str, Array]:
        """Run the engine once, with constants and state; the state moves on.

        Raises:
            BadInput, EngineFailed: as the session raises them.
        """
        if not self._constants and not self._recurrent:
            return self.session.run(prepared.feeds)
        outputs = self.session.run(self.feeds(prepared))
        self._state = {name: outputs[source] for name, source in self._recurrent.items()}
        return outputs

    def feeds(self, prepared: Prepared) -> dict[str, Array]:
        """All that the session is fed for a sample: constants and the state among it."""
        return {**prepared.feeds, **self._constants, **self._state}

    def interpret(self, prepared: Prepared, outputs: Mapping[str, Array]) -> tuple[Result, ...]:
        """The answer that outputs mean.

        Raises:
            EngineFailed: they are no numbers, or not of the shapes that the model declares.
        """
        check_sound(outputs, self.session.outputs)
        return self._decode(outputs, prepared)

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

    def warm(self, runs: int = 2) -> None:
        """Run an example, so that the first real sample does not pay for what engines put off; then reset.

        Raises:
            EngineFailed: the model cannot run.
        """
        example = self.example()
        for _ in range(runs):
            self.run(example)
        self.reset()

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
        """A sample that fits, to warm and to measure: a 720p frame of noise, or zeros."""
        frame = noise(720, 1280)
        examples = {
            name: example_values(self._given[name], self.specs[name]) if given.size is None else frame
            for name, given in self.samples.items()
        }
        return next(iter(examples.values())) if len(examples) == 1 else examples

    def _each(self, sample: Sample) -> Mapping[str, Array]:
        if isinstance(sample, Mapping):
            if sample.keys() != self.samples.keys():
                raise BadInput(f"the model takes {', '.join(self.samples)}, the sample has {', '.join(sample)}")
            return {name: sample[name] for name in self.samples}
        if len(self.samples) != 1:
            raise BadInput(f"the model takes {len(self.samples)} samples at once: {', '.join(self.samples)}")
        return {next(iter(self.samples)): sample}

    def _state_source(self, given: Input) -> str:
        if given.source is None:
            raise BadInput(f"model.toml: the state input {given.name!r} needs from = the output it comes from")
        return output_named(given.source, self.session.outputs).name


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """A frame that looks like noise: Knuth's multiplicative hash, for `numpy.random` costs a process two megabytes."""
    numbers = np.arange(height * width * 3, dtype=np.uint32) * np.uint32(2654435761)
    return (numbers >> np.uint32(24)).astype(np.uint8).reshape(height, width, 3)
