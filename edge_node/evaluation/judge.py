"""Runs a variant on every sample of a dataset. To be called where a hostile model does no harm."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from edge_node.errors import EngineFailed, NearfieldError
from edge_node.evaluation.dataset import Labelled
from edge_node.evaluation.measures import Case
from edge_node.pipeline.bundle import open_variant, read_bundle
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Answer, Runner, Sample
from protos.bundle import Manifest, Task
from protos.result import Anomaly, Classified, Detected

LEAST_SCORE = 0.01
"""Average precision is the area below a curve: it needs the boxes that nobody would be shown, too."""

SamplesOf = Callable[[Path, Runner], Iterator[Sample]]
"""The samples of one file: one, or several of a series."""


class Judged(msgspec.Struct, frozen=True):
    """What came of one variant; `error` where it cannot run at all."""

    cases: tuple[Case, ...] = ()
    error: str = ""


def judge(
    folder: Path, variant: str, samples: Sequence[Labelled], samples_of: SamplesOf, show: Callable[[int], None]
) -> Judged:
    """The answers of a variant of a bundle to labelled samples.

    Args:
        folder: of the bundle.
        variant: its file.
        samples: what to ask.
        samples_of: opens a file.
        show: hears how many are done.
    """
    bundle = read_bundle(folder)
    try:
        with closing(open_variant(bundle, variant, options=_options(bundle.manifest))) as runner:
            runner.warm()
            return Judged(tuple(_cases(runner, samples, samples_of, show)))
    except EngineFailed as error:
        return Judged(error=str(error))


def _options(manifest: Manifest) -> Options:
    return Options(score_threshold=LEAST_SCORE) if manifest.task is Task.DETECTION else Options()


def _cases(
    runner: Runner, samples: Sequence[Labelled], samples_of: SamplesOf, show: Callable[[int], None]
) -> Iterator[Case]:
    for done, labelled in enumerate(samples):
        show(done)
        runner.reset()
        yield from _asked(runner, labelled, samples_of)


def _asked(runner: Runner, labelled: Labelled, samples_of: SamplesOf) -> Iterator[Case]:
    try:
        for sample in samples_of(labelled.file, runner):
            begun = time.perf_counter()
            answer = runner.run(sample)
            yield _case(labelled, answer, (time.perf_counter() - begun) * 1e3)
    except NearfieldError as error:
        yield Case(str(labelled.file), dict(labelled.groups), 0.0, labelled.label, labelled.boxes, error=str(error))


def _case(labelled: Labelled, answer: Answer, latency_ms: float) -> Case:
    case = Case(str(labelled.file), dict(labelled.groups), latency_ms, labelled.label, labelled.boxes)
    first = answer.outputs[0] if answer.outputs else None
    if isinstance(first, Classified):
        return msgspec.structs.replace(case, answered=first.label, score=first.score)
    if isinstance(first, Anomaly):
        return msgspec.structs.replace(case, answered="", score=first.score)
    found = tuple((one.label, one.score, one.box) for one in answer.outputs if isinstance(one, Detected))
    return msgspec.structs.replace(case, answered="", found=found)
