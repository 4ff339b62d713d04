"""What a variant runs on and in which order, when a rung has fallen, and when it is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.engine.ladder import (
    FIRST_S,
    LONGEST_S,
    Fall,
    after_fall,
    engines_text,
    known_rungs,
    ladder_of,
    led_by,
    load_patience_s,
    rungs_of,
    standing,
    told,
)
from edge_node.rungs import EngineSettings, Rung

CUDA = Rung("onnxruntime", "cuda", options={"device_id": "0"})
CORAL = Rung("litert", "edgetpu", "/usr/lib/libedgetpu.so.1")
NPU = Rung("openvino", "npu")
SETTINGS = EngineSettings(also=("openvino",), devices=(CUDA, CORAL, NPU))
HERE = ("litert", "onnxruntime", "openvino")


def names(file: str, engine: str, settings: EngineSettings = SETTINGS, **facts: object) -> list[str]:
    known: dict[str, object] = {"golden": True, "here": HERE, **facts}
    return [rung.name for rung in rungs_of(file, engine, settings=settings, **known)]  # type: ignore[arg-type]


def test_a_variant_is_tried_on_its_own_engine_first_and_on_what_fits_its_format() -> None:
    assert names("m.onnx", "onnxruntime") == ["onnxruntime/cpu", "openvino/cpu", "onnxruntime/cuda", "openvino/npu"]
    assert names("m.tflite", "litert") == ["litert/cpu", "openvino/cpu", "litert/edgetpu", "openvino/npu"]
    assert names("m.stub", "stub") == ["stub/cpu"]


def test_without_golden_vectors_nothing_but_the_engine_of_the_manifest_is_tried() -> None:
    assert names("m.onnx", "onnxruntime", golden=False) == ["onnxruntime/cpu"]


def test_an_engine_that_is_not_here_or_not_asked_for_is_not_tried() -> None:
    assert names("m.onnx", "onnxruntime", here=("onnxruntime",)) == ["onnxruntime/cpu", "onnxruntime/cuda"]
    assert names("m.onnx", "onnxruntime", EngineSettings()) == ["onnxruntime/cpu"]


def test_one_rung_can_be_pinned_where_there_is_such_a_rung() -> None:
    only = EngineSettings(also=("openvino",), only="openvino/cpu")
    assert names("m.onnx", "onnxruntime", only) == ["openvino/cpu"]
    assert names("m.stub", "stub", only) == ["stub/cpu"]


def test_a_ladder_has_the_rungs_that_the_configuration_still_has() -> None:
    ladder = ladder_of(("onnxruntime/cuda", "litert/edgetpu", "onnxruntime/cpu"), known_rungs(SETTINGS))
    assert ladder == (CUDA, CORAL, Rung("onnxruntime"))
    assert ladder_of(("onnxruntime/cuda", "onnxruntime/cpu"), {}) == (Rung("onnxruntime"),)


def test_what_a_kept_choice_depends_on_changes_with_the_configuration() -> None:
    assert engines_text(EngineSettings(cache_mb=1)) == ""
    assert engines_text(SETTINGS) != engines_text(EngineSettings(also=("openvino",), devices=(CORAL, NPU)))


def test_a_fallen_rung_is_tried_again_ever_later() -> None:
    fall: Fall | None = None
    waits = []
    for _ in range(12):
        fall = after_fall(fall, "gone", now=100.0)
        waits.append(fall.retry_at - 100.0)
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S


@given(st.integers(1, 6), st.sets(st.integers(0, 5)), st.floats(0, 100))
def test_a_session_stands_on_the_best_rung_that_may_be_used_and_always_on_one(
    count: int, fallen: set[int], now: float
) -> None:
    falls = {place: Fall("gone", 1, 50.0) for place in fallen}
    place = standing(count, falls, now)
    assert 0 <= place < count
    assert all(above in fallen and now < 50.0 for above in range(place))
    if now >= 50.0:
        assert place == 0


@pytest.mark.parametrize(("at", "said"), [(0, ""), (1, "fell back from onnxruntime/cuda: no driver")])
def test_what_is_said_of_a_fall_names_the_rung_and_the_reason(at: int, said: str) -> None:
    assert told(["onnxruntime/cuda", "onnxruntime/cpu"], {0: Fall("no driver", 1, 9.0)}, at) == said


@pytest.mark.parametrize(
    ("at", "loads_ms", "instances", "patience_s"),
    [
        (0, {"stub/npu": 40.0}, 1, 3.0),
        (0, {"stub/npu": 40.0}, 4, 12.0),
        (0, {"stub/npu": 2000.0}, 1, 10.0),
        (0, {"stub/gpu": 40.0}, 1, None),
        (1, {"stub/npu": 2000.0, "stub/gpu": 40.0}, 1, 3.0),
        (2, {"stub/cpu": 40.0}, 1, None),
    ],
)
def test_a_load_is_given_up_for_the_next_rung_after_several_times_what_it_took_when_it_was_proven(
    at: int, loads_ms: dict[str, float], instances: int, patience_s: float | None
) -> None:
    assert load_patience_s(("stub/npu", "stub/gpu", "stub/cpu"), at, loads_ms, instances) == patience_s


def test_the_engine_that_was_tuned_leads_among_processors_and_passes_no_accelerator() -> None:
    names = ("onnxruntime/cpu", "openvino/cpu")
    assert led_by(names, "openvino") == ("openvino/cpu", "onnxruntime/cpu")
    assert led_by(names, "litert") == led_by(names, "") == led_by(names, "onnxruntime") == names
    assert led_by(("openvino/npu", *names), "openvino") == ("openvino/npu", *names)
    assert led_by((), "openvino") == ()
