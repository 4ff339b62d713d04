"""Label selectors mean what they mean in Kubernetes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import BadInput
from coordinator.fleet.selectors import Operator, Requirement, Selector, check_label, parse_selector

LABELS = {"site": "store-12", "camera": "left", "gpu": "", "nearfield.io/tier": "prod"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "site=store-12",
        "site==store-12",
        " site = store-12 ",
        "site!=store-13",
        "absent!=anything",
        "camera in (left, right)",
        "camera in(left)",
        "camera notin (right)",
        "absent notin (right)",
        "gpu",
        "gpu=",
        "gpu in ()",
        "gpu in (,a)",
        "!retired",
        "! retired",
        "nearfield.io/tier=prod",
        "site=store-12,camera in (left),!retired,gpu",
        "!in",
        "!notin",
    ],
)
def test_these_select(text: str) -> None:
    assert parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "site=store-13",
        "site!=store-12",
        "camera in (right)",
        "absent in (left)",
        "absent=",
        "camera notin (left)",
        "absent",
        "!gpu",
        "site=store-12,camera=right",
        "in",
        "in in (a)",
    ],
)
def test_these_do_not_select(text: str) -> None:
    assert not parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (",", "expected a label's key before ','"),
        ("a,", "expected a label's key at the end"),
        ("a=b,,c", "expected a label's key before ','"),
        ("a b", "expected ',' or the end before 'b'"),
        ("a=b c", "expected ',' or the end before 'c'"),
        ("a in", r"expected '\(' at the end"),
        ("a in b", r"expected '\(' before 'b'"),
        ("a in (b", r"expected ',' or '\)' at the end"),
        ("a in (b c)", r"expected ',' or '\)' before 'c'"),
        ("a==!b", "expected a value before '!'"),
        ("!a=b", "expected ',' or the end before '='"),
        ("!", "expected a label's key at the end"),
        ("=a", "expected a label's key before '='"),
        ("-a=b", "'-a' is not a label's key"),
        ("a/b/c=d", "'a/b/c' is not a label's key"),
        ("UPPER/a=d", "'UPPER/a' is not a label's key"),
        ("a=-b", "'-b' is not a label's value"),
        ("a=" + "b" * 64, "is not a label's value"),
        ("a" * 64, "is not a label's key"),
        ("d" * 254 + "/a", "is not a label's key"),
        ("a>5", "'a>5' is not a label's key"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        parse_selector(text)


words = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?\Z")
values = words | st.just("")


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    """Any requirement."""
    operator = draw(st.sampled_from(Operator))
    has_values = operator in (Operator.IN, Operator.NOT_IN)
    return Requirement(draw(words), operator, draw(st.frozensets(values, min_size=1)) if has_values else frozenset())


def written(requirement: Requirement) -> str:
    """The requirement as a person writes it."""
    match requirement.operator:
        case Operator.EXISTS:
            return requirement.key
        case Operator.ABSENT:
            return f"!{requirement.key}"
        case _:
            return f"{requirement.key} {requirement.operator} ({','.join(sorted(requirement.values))})"


@given(st.lists(requirements(), max_size=5))
def test_what_is_written_is_what_is_read(wanted: list[Requirement]) -> None:
    assert parse_selector(", ".join(map(written, wanted))) == Selector(tuple(wanted))


@given(st.text(max_size=60) | st.text(alphabet="ab=!,() in", max_size=60))
def test_any_text_is_a_selector_or_is_refused_in_one_line(text: str) -> None:
    try:
        parse_selector(text)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - any text may also be fine


@given(requirements(), st.dictionaries(words, values))
def test_a_requirement_and_its_opposite_never_agree(requirement: Requirement, labels: dict[str, str]) -> None:
    opposites = {
        Operator.IN: Operator.NOT_IN,
        Operator.NOT_IN: Operator.IN,
        Operator.EXISTS: Operator.ABSENT,
        Operator.ABSENT: Operator.EXISTS,
    }
    opposite = Requirement(requirement.key, opposites[requirement.operator], requirement.values)
    assert requirement.holds(labels) != opposite.holds(labels)


@given(words, values)
def test_every_label_that_is_taken_can_be_selected(key: str, value: str) -> None:
    check_label(key, value)
    assert parse_selector(f"{key}={value}").matches({key: value})


@pytest.mark.parametrize(("key", "value"), [("a b", "c"), ("", "c"), ("a", "b c"), ("a", "é")])
def test_a_label_that_no_selector_could_name_is_refused(key: str, value: str) -> None:
    with pytest.raises(BadInput):
        check_label(key, value)
