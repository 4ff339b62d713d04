"""`edgectl results` against a whole coordinator: a filter with a typo, a coordinator that goes away."""

import asyncio
from pathlib import Path

import pytest

from tests.coordinators import edgectl, enrolled, running_coordinator


async def test_a_node_that_nobody_is_called_is_one_line_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        await enrolled(coordinator)
        for command in (("query",), ("count",), ("export", "-o", str(tmp_path / "r.jsonl"))):
            assert await edgectl(coordinator, "results", *command, "--node", "cma-3") == 0
            assert capsys.readouterr().err == "edgectl: no node named 'cma-3'; did you mean 'cam-3'?\n"


async def test_a_tail_whose_coordinator_goes_away_says_so_and_ends_with_3(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        tail = asyncio.create_task(edgectl(coordinator, "results", "tail"))
        printed = ""
        while "OUTPUTS" not in printed:
            await asyncio.sleep(0.05)
            printed += capfd.readouterr().out
    assert await tail == 3
    complaint = capfd.readouterr().err.splitlines()
    assert [line for line in complaint if line.startswith("edgectl: ")] == complaint[-1:]
