"""`edge-node infer`: run a model on files, without a coordinator."""

import argparse
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli.options import ENGINES, add_answers, thread_count
from edge_node.errors import BadInput, Exit

if TYPE_CHECKING:
    from edge_node.cli.samples import Item, Stream
    from edge_node.pipeline.runner import Answer, Runner


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("infer", help="run a model on photos, videos, sounds or arrays")
    parser.add_argument("model", help="a bundle folder, a .tflite or an .onnx file")
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="I", help="photos, folders, videos, .wav, .npy, .bin"
    )
    parser.add_argument("--labels", metavar="F", help="one label per line, for a raw model file")
    parser.add_argument("--manifest", metavar="F", help="a model.toml that says how to read a raw model file")
    parser.add_argument("--variant", metavar="FILE", help="which file of a bundle")
    parser.add_argument("--engine", choices=ENGINES, help="which engine")
    parser.add_argument("--threads", type=thread_count, default=1, metavar="N", help="of the engine (1)")
    parser.add_argument("--json", action="store_true", help="one JSON document per answer")
    add_answers(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the model on every input, confined, and print an answer for each sample, or a summary of a stream."""
    from edge_node.cli.contained import contained

    others = [*arguments.input, arguments.labels, arguments.manifest]
    files = [Path(name) for name in others if name is not None]
    return contained(lambda: _infer(arguments), Path(arguments.model), files)


def _infer(arguments: argparse.Namespace) -> int:
    with _starting():
        from edge_node.cli.model import load
        from edge_node.cli.samples import streams

        runner = load(arguments)
    try:
        for stream in streams(arguments.input, runner):
            runner.reset()
            if arguments.json:
                _print_json(stream, runner)
            elif stream.single:
                _print_lines(stream, runner)
            else:
                _print_summary(stream, runner)
    finally:
        runner.close()
    return Exit.DONE


@contextmanager
def _starting() -> Iterator[None]:
    """Imports and a model's session stay: not to look for garbage among them is a tenth of the time to the answer."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_json(stream: "Stream", runner: "Runner") -> None:
    for item in stream.items:
        answer = runner.run(item.sample)
        print(msgspec.json.encode(document_of(item, answer, runner)).decode(), flush=True)


def _print_lines(stream: "Stream", runner: "Runner") -> None:
    from edge_node.cli.shown import answer_line

    for item in stream.items:
        print(f"{item.origin}: {answer_line(runner.run(item.sample))}", flush=True)


def _print_summary(stream: "Stream", runner: "Runner") -> None:
    from edge_node.cli.progress import Progress
    from edge_node.cli.shown import answer_line, summary, total_ms

    answers, latencies, begun = [], [], time.perf_counter()
    with Progress() as progress:
        for item in stream.items:
            answer = runner.run(item.sample)
            answers.append(answer.outputs)
            latencies.append(total_ms(answer))
            progress.show(f"{item.origin}: {len(answers)}: {answer_line(answer)}")
    if not answers:
        raise BadInput(f"{stream.origin}: too short for one sample of the model")
    print(f"{stream.origin}: {summary(answers, latencies, time.perf_counter() - begun)}")


def document_of(item: "Item", answer: "Answer", runner: "Runner") -> dict[str, object]:
    """One answer as `--json` prints it."""
    return {
        "input": item.origin,
        "position": item.position,
        "model": runner.manifest.name,
        "task": runner.manifest.task,
        "engine": runner.session.engine,
        "accelerator": runner.session.accelerator,
        "latency_ms": {
            "preprocess": round(answer.preprocess_ms, 3),
            "infer": round(answer.infer_ms, 3),
            "postprocess": round(answer.postprocess_ms, 3),
        },
        "outputs": answer.outputs,
    }
