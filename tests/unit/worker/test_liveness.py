"""When a worker hangs, and what is said of one that died."""

import pytest

from edge_node.worker.liveness import Limits, Pending, death, doing, hang
from edge_node.worker.messages import (
    CloseLane,
    LaneStatus,
    Load,
    OpenLane,
    PipelineRun,
    PipelineStatus,
    Prove,
    Request,
    Start,
    Status,
    Stop,
    Switch,
    Unload,
)

LIMITS = Limits(silence_s=5, busy_s=5, answer_s=30, load_s=120)
LOAD = Load(1, "m@2", "/bundles/m", "m.tflite")
IMPATIENT = Load(1, "m@2", "/bundles/m", "m.tflite", patience_s=3.0)
RUN = PipelineRun("shelf", "m@2", "/run/shelf.sock")


def status(busy_ms: float = 0.0) -> Status:
    return Status((PipelineStatus("shelf", "m@2", 10, 0, 0, 0, busy_ms=busy_ms),), ("m@2",), 60_000)


@pytest.mark.parametrize(
    ("now", "heard", "busy_ms", "pending", "reason"),
    [
        (100.0, 99.0, 20.0, [], None),
        (100.0, 95.5, 20.0, [], None),
        (100.0, 94.0, 20.0, [], "it hung (no sign of life for 6.0 s)"),
        (100.0, 99.5, 5100.0, [], "it hung (an inference of pipeline shelf runs for 5.1 s)"),
        (100.0, 60.0, 0.0, [Pending(LOAD, 55.0)], None),
        (200.0, 199.0, 0.0, [Pending(LOAD, 55.0)], "it hung (no answer within 120 s)"),
        (100.0, 99.0, 0.0, [Pending(IMPATIENT, 97.5)], None),
        (100.0, 99.0, 0.0, [Pending(IMPATIENT, 96.5)], "it hung (no answer within 3 s)"),
        (100.0, 99.0, 0.0, [Pending(Stop(2, "shelf"), 69.0)], "it hung (no answer within 30 s)"),
        (100.0, 99.0, 0.0, [Pending(Stop(2, "shelf"), 75.0)], None),
    ],
)
def test_a_worker_hangs_by_silence_by_an_inference_or_by_an_answer_owed(
    now: float, heard: float, busy_ms: float, pending: list[Pending], reason: str | None
) -> None:
    assert hang(now, heard, status(busy_ms), pending, LIMITS) == reason


def test_a_worker_hangs_by_an_inference_for_a_client() -> None:
    lanes = (LaneStatus("m@2", True, 10, 0, busy_ms=5100),)
    reason = hang(100.0, 99.5, Status((), ("m@2",), 60_000, lanes=lanes), [], LIMITS)
    assert reason == "it hung (an inference of session m@2 runs for 5.1 s)"


def test_a_worker_that_has_said_nothing_yet_is_given_its_time() -> None:
    assert hang(129.0, 100.0, None, [], LIMITS) is None
    assert hang(131.0, 100.0, None, [], LIMITS) == "it hung (no sign of life for 31.0 s)"


def test_a_death_names_the_signal_and_what_was_being_done() -> None:
    assert death(-11, None, {}, [Pending(LOAD, 0)]) == (
        "the worker was killed by SIGSEGV while loading m.tflite as session m@2"
    )
    assert death(-9, None, {"shelf": "m@2"}, []) == (
        "the worker was killed by SIGKILL while running pipeline shelf on session m@2"
    )
    assert death(-9, "it hung (no sign of life for 5.1 s)", {"shelf": "m@2"}, []) == (
        "the worker was killed because it hung (no sign of life for 5.1 s) while running pipeline shelf on session m@2"
    )
    assert death(-9, None, {}, [], ["m@2", "n@1"]) == (
        "the worker was killed by SIGKILL while serving session m@2, n@1"
    )
    assert death(-9, None, {"shelf": "m@2"}, [], ["n@1"]) == (
        "the worker was killed by SIGKILL while running pipeline shelf on session m@2 and serving session n@1"
    )
    assert death(1, None, {}, []) == "the worker ended with exit code 1 while idle"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Prove(1, "/b", None), "proving the variants of /b"),
        (Prove(1, "/b", "m.onnx"), "proving m.onnx of /b"),
        (LOAD, "loading m.tflite as session m@2"),
        (Load(1, "m@2", "/m.tflite", ""), "loading /m.tflite as session m@2"),
        (OpenLane(1, "m@2", "/lanes"), "opening the lane of session m@2"),
        (CloseLane(1, "m@2"), "closing the lane of session m@2"),
        (Unload(1, "m@2"), "unloading session m@2"),
        (Start(1, RUN), "starting pipeline shelf on session m@2"),
        (Switch(1, RUN), "switching pipeline shelf to session m@2"),
        (Stop(1, "shelf"), "stopping pipeline shelf"),
    ],
)
def test_every_request_has_words(request_: Request, words: str) -> None:
    assert doing(request_) == words
