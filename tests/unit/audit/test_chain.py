"""The audit log's chain: whatever is changed, left out, put in or cut off is noticed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.audit.chain import MAX_DETAIL, Act, Entry, Head, chained, checked, hash_of, parse_head
from coordinator.errors import WrongUsage

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


def a_log(length: int = 5) -> list[Entry]:
    """A log in order."""
    entries: list[Entry] = []
    head = Head()
    for number in range(length):
        act = Act("admin:alice", "node.rename", f"cam-{number}", {"name": "till"})
        entries.append(chained(head, act, NOW + timedelta(seconds=number)))
        head = entries[-1].head
    return entries


def problem(entries: list[Entry], *known: Head) -> str:
    """What `checked` finds, or nothing."""
    return next((one for one in checked(entries, known) if isinstance(one, str)), "")


def test_a_log_in_order_is_intact_and_has_a_head() -> None:
    log = a_log()
    assert list(checked(log, [log[2].head, log[-1].head])) == log
    assert log[-1].head == Head(5, hash_of(log[-1]))


@given(st.integers(0, 4), st.sampled_from(["at", "actor", "action", "subject", "detail", "previous", "hash"]))
def test_a_changed_entry_is_found(place: int, field: str) -> None:
    log = a_log()
    log[place] = replace(log[place], **{field: "0" * 63 + "1"})  # type: ignore[arg-type]
    assert problem(log)


@given(st.integers(0, 4), st.sampled_from(["actor", "subject", "detail"]))
def test_a_changed_entry_with_a_new_hash_breaks_the_one_behind_it_or_the_known_head(place: int, field: str) -> None:
    log, head = a_log(), a_log()[-1].head
    changed = replace(log[place], **{field: "nobody"})  # type: ignore[arg-type]
    log[place] = replace(changed, hash=hash_of(changed))
    assert problem(log, head)


@given(st.integers(0, 3))
def test_an_entry_that_is_left_out_is_missed(place: int) -> None:
    log = a_log()
    del log[place]
    assert problem(log)


@given(st.integers(0, 4))
def test_an_entry_that_is_put_in_is_found(place: int) -> None:
    log = a_log()
    log.insert(place, log[place])
    assert problem(log)


def test_a_cut_end_is_found_only_with_a_head_that_was_kept() -> None:
    log = a_log()
    assert problem(log[:3]) == ""
    assert "cut off" in problem(log[:3], log[-1].head)
    assert "cut off" in problem([], log[-1].head)


def test_a_log_that_was_written_anew_is_found_with_a_head_that_was_kept() -> None:
    head, anew = a_log()[2].head, list[Entry]()
    before = Head()
    for entry in a_log():
        anew.append(chained(before, Act("mallory", entry.action, entry.subject, {}), NOW))
        before = anew[-1].head
    assert problem(anew) == ""
    assert "written anew" in problem(anew, head)


def test_the_same_act_has_the_same_hash_everywhere() -> None:
    act = Act("admin:älice", "node.rename", "cam", {"b": 1, "a": [1, "ß"]})
    assert chained(Head(), act, NOW) == chained(Head(), replace(act, detail={"a": [1, "ß"], "b": 1}), NOW)


def test_a_long_detail_is_cut_and_says_so() -> None:
    entry = chained(Head(), Act("a", "b.c", "d", {"x": "y" * MAX_DETAIL}), NOW)
    assert '"cut": ' in entry.detail
    assert len(entry.detail) < MAX_DETAIL


@given(st.text())
def test_a_head_is_read_or_refused(text: str) -> None:
    with pytest.raises(WrongUsage):
        parse_head(text)


def test_a_head_survives_its_text() -> None:
    head = a_log()[-1].head
    assert parse_head(str(head)) == head
