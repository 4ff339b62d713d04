"""Specifications of rollouts, in files and as options."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coordinator.cli.rollout_options import rollout_document
from coordinator.errors import BadInput
from coordinator.rollouts.metrics import METRICS
from coordinator.rollouts.spec import RolloutSpec, Window
from coordinator.rollouts.spec_file import RolloutFile, document_of, parse_spec
from coordinator.rollouts.states import Stage, State
from coordinator.sim.faults import Faults, parse_faults
from coordinator.sim.outcome import Outcome

LEAST = {"deployment": "shelf", "to": "m@2"}
PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "rollouts.md").read_text()


def test_a_file_is_read() -> None:
    text = """
        deployment: shelf
        to: mobilenet-v2@2
        canary: 5%
        waves: [25%, 100%]
        max_parallel: 50
        shadow: 10m
        shadow_share: 25%
        min_healthy: 60
        gates: [p95_ms<=50, agreement >= 0.98]
        shifts: {day: "06:00-22:00"}
        windows: ["22:00-06:00", "sat,sun 00:00-24:00"]
        per_group: {rack: 2}
    """
    assert parse_spec(yaml.safe_load(text), "f.yaml") == RolloutSpec(
        "shelf",
        "mobilenet-v2@2",
        canary="5%",
        waves=("25%", "100%"),
        max_parallel="50",
        shadow_s=600,
        shadow_share=0.25,
        min_healthy_s=60,
        gates=("p95_ms<=50", "agreement>=0.98"),
        shifts={"day": "06:00-22:00"},
        windows=(Window("22:00", "06:00"), Window("00:00", "24:00", ("sat", "sun"))),
        per_group={"rack": 2},
    )


def test_the_page_has_every_key_metric_state_and_stage_and_its_examples_are_read() -> None:
    spec, faults = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    assert parse_spec(spec, "the page").gates[0] == "p95_ms<=50"
    assert parse_faults(faults, "the page").coordinators == 2
    words = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    for kind in (RolloutFile, Faults, Outcome):
        assert words >= set(kind.__struct_fields__)
    assert words >= {*METRICS, *State, *Stage}


def test_options_say_the_same_with_commas() -> None:
    options = {
        **LEAST,
        "canary": "5%",
        "waves": "25%,100%",
        "gates": ["p95_ms<=50", "error_rate<=0.001,restarts<=0"],
        "windows": "sat,sun 22:00-06:00; fri 1:00-2:00",
        "per_group": ["rack=2", "tier=3"],
        "shifts": "day=06:00-22:00,night=22:00-06:00",
        "slices": [],
        "shadow_share": "0.5",
        "shadow": None,
        "auto_promote": True,
    }
    assert parse_spec(rollout_document(None, None, options), "options") == RolloutSpec(
        "shelf",
        "m@2",
        canary="5%",
        waves=("25%", "100%"),
        gates=("p95_ms<=50", "error_rate<=0.001", "restarts<=0"),
        windows=(Window("22:00", "06:00", ("sat", "sun")), Window("01:00", "02:00", ("fri",))),
        per_group={"rack": 2, "tier": 3},
        shifts={"day": "06:00-22:00", "night": "22:00-06:00"},
        shadow_share=0.5,
        auto_promote=True,
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"canry": "5%"}, "unknown key 'canry'; did you mean 'canary'?"),
        ({"to": "m"}, "write name@version"),
        ({"deployment": "Shelf!"}, "deployment 'Shelf!' is not a name"),
        ({"canary": "5 percent"}, "canary: '5 percent' is not a share"),
        ({"canary": 0}, "a wave of no nodes"),
        ({"waves": "50%,20%"}, "20% after 50% reaches no more nodes"),
        ({"canary": "30%", "waves": ["20%"]}, "20% after 30% reaches no more nodes"),
        ({"shadow": "ten"}, "shadow: 'ten' is not a duration"),
        ({"min_healthy": "5m", "healthy_deadline": "5m"}, "healthy_deadline 5m must be above min_healthy 5m"),
        ({"progress_deadline": 0}, "progress_deadline must be above 0"),
        ({"gates": ["p95"]}, "gates: 'p95' is not a gate"),
        ({"gates": "agreement>=0.9"}, "gate agreement>=0.9 needs a shadow"),
        ({"min_samples": 0}, "min_samples must be at least 1"),
        ({"min_samples": "many"}, "'min_samples' must be a whole number, not text"),
        ({"shadow_cpu": 0}, "shadow_cpu must be above 0"),
        ({"shadow_share": "none"}, "shadow_share: 'none' is not a share of frames"),
        ({"shadow_share": 2.0}, "is not a share of frames"),
        ({"shifts": {"day": "sat 06:00-22:00"}}, "a shift is of every day"),
        ({"shifts": "day"}, "shifts: write key=value"),
        ({"per_group": {"rack": 0}}, "per_group: 0 is not a number of nodes"),
        ({"per_site": -1}, "must not be below 0"),
        ({"windows": ["at night"]}, "windows: 'at night' is not a window"),
        ({"max_error_rate": 5}, "max_error_rate must be within 0 and 1"),
        ({"max_p95_ms": -1}, "must be above 0"),
        ({"max_memory_mb": float("nan")}, "must be above 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)) as refused:
        parse_spec({**LEAST, **changes}, "f.yaml")
    assert str(refused.value).startswith("f.yaml: ") or "to" in changes
    assert "\n" not in str(refused.value)


shares = st.builds("{}%".format, st.integers(1, 100))
seconds = st.integers(1, 10**7).map(float)
specs = st.builds(
    RolloutSpec,
    deployment=st.just("shelf"),
    to=st.just("m@2"),
    canary=st.sampled_from(("", "1", "3")),
    waves=st.lists(st.integers(1, 100), min_size=1, max_size=4).map(
        lambda found: tuple(f"{n}%" for n in sorted(found))
    ),
    max_parallel=shares | st.builds(str, st.integers(0, 1000)),
    shadow_s=seconds,
    shadow_share=st.floats(0.001, 1),
    min_healthy_s=st.integers(0, 100).map(float),
    healthy_deadline_s=st.integers(101, 10**6).map(float),
    progress_deadline_s=seconds,
    gates=st.lists(st.sampled_from(("p95_ms<=50", "agreement>=0.9", "footfall<0.1")), unique=True).map(tuple),
    slices=st.lists(st.sampled_from(("site", "pipeline", "rack")), unique=True).map(tuple),
    shifts=st.just({}) | st.just({"day": "06:00-18:00"}),
    windows=st.just(()) | st.just((Window("22:00", "06:00", ("sat",)),)),
    per_site=st.integers(0, 5),
    per_group=st.dictionaries(st.sampled_from(("rack", "tier")), st.integers(1, 9)),
    max_failures=shares,
    auto_promote=st.booleans(),
    priority=st.integers(-5, 5),
    max_memory_mb=st.none() | st.integers(1, 999).map(float),
)


@given(specs)
def test_a_specification_is_written_as_it_is_read(spec: RolloutSpec) -> None:
    assert parse_spec(yaml.safe_load(yaml.safe_dump(document_of(spec))), "f") == spec


def test_what_is_at_its_default_is_not_written() -> None:
    assert document_of(RolloutSpec("shelf", "m@2")) == {**LEAST}


keys = st.sampled_from(
    ("deployment", "to", "canary", "waves", "gates", "windows", "shifts", "shadow", "per_group", "x")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(keys, values, max_size=5), st.booleans())
def test_whatever_stands_there_is_a_specification_or_one_line(document: dict[str, Any], valid: bool) -> None:
    try:
        spec = parse_spec({**document, **LEAST} if valid else document, "f")
    except BadInput:
        return
    assert parse_spec(document_of(spec), "f") == spec


@pytest.mark.parametrize(
    ("given", "deadline_s"), [({}, 300), ({"min_healthy": "5m"}, 1200), ({"healthy_deadline": 30}, 30)]
)
def test_the_healthy_deadline_leaves_room_for_what_a_node_must_serve(given: dict[str, Any], deadline_s: int) -> None:
    spec = parse_spec({**LEAST, **given}, "f.yaml")
    assert spec.healthy_deadline_s == deadline_s
    assert parse_spec(document_of(spec), "f.yaml") == spec
