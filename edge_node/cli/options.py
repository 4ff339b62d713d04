"""The options by which an author answers what a model file does not say; `infer`, `bench` and `bundle init` share them.

Declared without the engines and numpy, so that `--help` is quick; `answers.py` turns them into answers.
"""

import argparse
from collections.abc import Callable
from typing import TypeVar

from edge_node.config import MOST_THREADS

TASKS = ("classification", "detection", "anomaly", "tensor")
ENGINES = ("litert", "onnxruntime", "stub")

N = TypeVar("N", int, float)


def add_answers(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    model = parser.add_argument_group("what the model file does not say")
    model.add_argument("--task", choices=TASKS, help="what the outputs mean")
    model.add_argument("--kind", choices=("image", "audio", "series", "tensor"), help="what the input is")
    model.add_argument("--mean", type=numbers, metavar="M[,M,M]", help="pixel values 0..255: (pixel - mean) / std")
    model.add_argument("--std", type=positive_numbers, metavar="S[,S,S]", help="see --mean")
    model.add_argument("--fit", choices=("stretch", "letterbox", "crop"), help="how a frame is fitted (stretch)")
    model.add_argument("--resize", choices=("nearest", "bilinear", "bicubic", "box", "lanczos"), help="(bilinear)")
    model.add_argument("--color", choices=("rgb", "bgr", "grey"), help="the order of colours")
    model.add_argument("--layout", choices=("nhwc", "nchw"), help="where the shape does not show it")
    model.add_argument("--rate", type=positive, metavar="HZ", help="audio: the sample rate")
    model.add_argument(
        "--window", type=positive, metavar="N", help="audio: new samples of a step; series: rows of a step"
    )
    model.add_argument("--context", type=natural, metavar="N", help="audio: samples of the step before (0)")
    model.add_argument("--stride", type=positive, metavar="N", help="series: rows between steps (the window)")
    model.add_argument("--features", type=positive, metavar="N", help="series: values of a row")
    model.add_argument("--constant", type=constant, action="append", default=[], metavar="INPUT=VALUE")
    model.add_argument("--activation", choices=("none", "softmax", "sigmoid"), help="of the scores")
    model.add_argument("--head", choices=("boxes_scores", "yolo", "tflite_ssd"), help="detection: form of the outputs")
    model.add_argument("--background", type=class_index, metavar="N|none", help="detection: the class of no object")
    model.add_argument("--top-k", type=positive, metavar="N", help="classification: how many classes to give (3)")
    model.add_argument("--score-threshold", type=share, metavar="S", help="detection: the least score (0.5)")
    model.add_argument("--iou-threshold", type=share, metavar="S", help="detection: overlap of one object (0.5)")
    model.add_argument("--threshold", type=number, metavar="T", help="anomaly: the least error that is one")


def numbers(text: str) -> tuple[float, ...]:
    """`127` or `123.7,116.3,103.5`."""
    return tuple(map(number, text.split(",")))


def positive_numbers(text: str) -> tuple[float, ...]:
    """As `numbers`, each above 0."""
    return tuple(map(positive_number, text.split(",")))


def constant(text: str) -> tuple[str, float]:
    """`sr=16000`."""
    name, equals, value = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: write INPUT=VALUE")
    return name, number(value)


def class_index(text: str) -> object:
    """A class's number, or `none`."""
    return "none" if text == "none" else _value(text, int, lambda _: True, "the number of a class, or none")


def natural(text: str) -> int:
    """A whole number, 0 or more."""
    return _value(text, int, lambda value: value >= 0, "a whole number, 0 or more")


def positive(text: str) -> int:
    """A whole number above 0."""
    return _value(text, int, lambda value: value > 0, "a whole number above 0")


def thread_count(text: str) -> int:
    """1 to `MOST_THREADS`."""
    return _value(text, int, lambda value: 1 <= value <= MOST_THREADS, f"1 to {MOST_THREADS} threads")


def number(text: str) -> float:
    """Any number."""
    return _value(text, float, lambda _: True, "a number")


def positive_number(text: str) -> float:
    """A number above 0."""
    return _value(text, float, lambda value: value > 0, "a number above 0")


def milliseconds(text: str) -> float:
    """`50ms` or `0.05s`, in milliseconds."""
    number_text, unit = (text[:-2], 1.0) if text.endswith("ms") else (text[:-1], 1e3)
    if not text.endswith("s"):
        raise argparse.ArgumentTypeError(f"{text!r}: give a time with its unit, for example 50ms")
    return positive_number(number_text) * unit


def share(text: str) -> float:
    """0 to 1."""
    return _value(text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def _value(text: str, read: Callable[[str], N], allowed: Callable[[N], bool], wanted: str) -> N:
    """The value of an option, or what to give instead of the text."""
    try:
        value = read(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r}: give {wanted}")
    return value
