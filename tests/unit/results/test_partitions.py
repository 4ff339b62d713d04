"""Names of the time partitions, and when one goes."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coordinator.results.partitions import day_of, expired, partition_of, partitions

DAYS = st.dates(date(2000, 1, 1), date(2999, 12, 31))


@given(DAYS)
def test_a_day_and_its_partition_name_each_other(day: date) -> None:
    assert day_of(partition_of(day)) == day


def test_no_other_table_is_taken_for_a_partition() -> None:
    tables = [
        "streams",
        "results",
        "results_",
        "results_2026",
        "results_20261340",
        "results_20261122x",
        "results_20261122",
    ]
    assert partitions(tables) == ["results_20261122"]


@given(DAYS, st.lists(st.integers(-5, 80), unique=True), st.integers(1, 60))
def test_a_partition_goes_when_all_of_it_is_older_than_the_retention(today: date, ages: list[int], keep: int) -> None:
    tables = [partition_of(today - timedelta(days=age)) for age in ages]
    gone = expired([*tables, "streams"], today, keep)
    assert gone == sorted(partition_of(today - timedelta(days=age)) for age in ages if age > keep)


def test_a_retention_of_zero_keeps_everything() -> None:
    assert expired(["results_20000101"], date(2026, 1, 1), 0) == []
