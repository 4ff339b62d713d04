"""Which way of serving a model is chosen from measurements."""

from hypothesis import given
from hypothesis import strategies as st

from edge_node.repository.tuning import BATCHES, NOISE, Arm, Measured, Way, decide, go_on, times_of, ways_of

DEFAULT = Way("m.onnx", "onnxruntime", threads=1, instances=2, batch=8)
OTHER = Way("m.onnx", "onnxruntime", threads=2, instances=1, batch=1)


def arm(way: Way, *rounds: tuple[float, float]) -> Arm:
    return Arm(way, tuple(Measured(*one) for one in rounds))


measurements = st.tuples(st.floats(1, 1e5), st.floats(0.01, 1e3))
arms_of_rounds = st.integers(1, 4).flatmap(
    lambda rounds: st.lists(st.lists(measurements, min_size=rounds, max_size=rounds), min_size=1, max_size=6)
)


def _arms(rounds: list[list[tuple[float, float]]]) -> list[Arm]:
    return [
        arm(DEFAULT if place == 0 else Way("m.onnx", "onnxruntime", 1, 1, 1 << place), *one)
        for place, one in enumerate(rounds)
    ]


@given(arms_of_rounds, st.floats(0.01, 1e3))
def test_what_is_chosen_is_never_worse_than_the_default_by_its_own_measurements(
    rounds: list[list[tuple[float, float]]], slo: float
) -> None:
    arms = _arms(rounds)
    base, tuned = arms[0], decide(arms, DEFAULT, slo)
    chosen = next(one for one in arms if one.way == tuned.way)
    if base.p95_ms <= slo:
        assert times_of(chosen, base) >= 1
    else:
        assert chosen.p95_ms <= base.p95_ms


@given(arms_of_rounds, st.floats(0.01, 1e3))
def test_what_is_chosen_is_within_the_bound_wherever_anything_is(
    rounds: list[list[tuple[float, float]]], slo: float
) -> None:
    arms = _arms(rounds)
    tuned = decide(arms, DEFAULT, slo)
    assert tuned.meets == any(one.p95_ms <= slo for one in arms)
    if tuned.meets:
        assert next(one for one in arms if one.way == tuned.way).p95_ms <= slo


@given(arms_of_rounds, st.floats(0.01, 1e3))
def test_the_default_goes_on_to_the_next_round_and_what_would_be_chosen_with_it(
    rounds: list[list[tuple[float, float]]], slo: float
) -> None:
    arms = _arms([one[:1] for one in rounds])
    going_on = go_on(arms, DEFAULT, slo)
    assert DEFAULT in going_on
    assert decide(arms, DEFAULT, slo).way in going_on


def test_the_fastest_within_the_bound_wins() -> None:
    arms = [arm(DEFAULT, (100, 10)), arm(OTHER, (150, 40)), arm(Way("m", "e", 1, 2, 16), (200, 60))]
    tuned = decide(arms, DEFAULT, 50)
    assert (tuned.way, tuned.times) == (OTHER, 1.5)
    assert tuned.reason == "1.50 times the default's samples per second, p95 40.0 ms"


def test_a_difference_within_the_noise_leaves_the_default() -> None:
    tuned = decide([arm(DEFAULT, (100, 10)), arm(OTHER, (100 * (1 + NOISE), 10))], DEFAULT, 50)
    assert tuned.way == DEFAULT
    assert "nothing else is more than 10% better" in tuned.reason


def test_where_nothing_is_within_the_bound_the_quickest_is_chosen_and_that_said() -> None:
    tuned = decide([arm(DEFAULT, (100, 90)), arm(OTHER, (70, 60))], DEFAULT, 50)
    assert tuned.way == OTHER
    assert not tuned.meets
    assert tuned.reason == "no way has a p95 within 50 ms; this one has the lowest, 60.0 ms"


def test_foreign_load_in_one_round_does_not_decide() -> None:
    """The device is three times as slow in the second round: both are, and the ratios stay."""
    steady, slowed = arm(DEFAULT, (100, 10), (33, 30), (100, 10)), arm(OTHER, (120, 10), (40, 30), (120, 10))
    assert decide([steady, slowed], DEFAULT, 50).way == OTHER


def test_a_way_that_was_given_up_or_failed_is_not_chosen() -> None:
    arms = [arm(DEFAULT, (100, 10), (100, 10)), arm(OTHER, (300, 10)), Arm(Way("m", "e", 1, 1, 1), error="it crashed")]
    assert decide(arms, DEFAULT, 50).way == DEFAULT


def test_no_way_has_more_threads_than_there_are_cores_and_a_fixed_model_no_batch() -> None:
    ways = ways_of("m.tflite", "litert", 4, 4, batches=False)
    assert all(way.threads * way.instances <= 4 and way.batch == 1 for way in ways)
    assert {(way.threads, way.instances) for way in ways} == {(1, 1), (1, 4), (2, 1), (2, 2), (4, 1)}
    assert {way.batch for way in ways_of("m.onnx", "onnxruntime", 1, 1, batches=True)} == set(BATCHES)


def test_a_model_too_large_for_more_keeps_one_instance() -> None:
    assert {way.instances for way in ways_of("m.onnx", "onnxruntime", 4, 1, batches=False)} == {1}
