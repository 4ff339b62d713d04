"""The status as a person reads it."""

import pytest

from edge_node.cli.status_text import system_time
from edge_node.supervisor.status import ClockReport


@pytest.mark.parametrize(
    ("off_s", "said"),
    [
        (-1795276578.0, "1970-01-01T02:05:50Z"),
        (86400.5, "2026-11-22T18:02:08Z"),
        (1e15, "1000000000000000 s more"),
    ],
)
def test_a_clock_that_is_wrong_is_shown_as_the_time_that_it_says(off_s: float, said: str) -> None:
    assert system_time(ClockReport("2026-11-21T18:02:08Z", "coordinator", off_s)) == said
