"""The coordinator's configuration file."""

from pathlib import Path

import pytest

from coordinator.config import CONFIG_FILE, read_config
from coordinator.errors import BadInput


@pytest.mark.parametrize("prefix", ["", "/", "edge/+", "edge/#", "edge//v1", "edge/v1/", "Edge v1"])
def test_a_topic_prefix_that_is_none_is_one_line_with_the_file(tmp_path: Path, prefix: str) -> None:
    file = tmp_path / CONFIG_FILE
    file.write_text(f'topic_prefix = "{prefix}"\n', encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        read_config(tmp_path)
    assert str(refused.value).startswith(f"{file}: topic prefix {prefix!r}")
    assert "\n" not in str(refused.value)


def test_a_topic_prefix_of_several_levels_is_kept(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text('topic_prefix = "plant-7/edge/v1"\n', encoding="utf-8")
    assert read_config(tmp_path).topic_prefix == "plant-7/edge/v1"


@pytest.mark.parametrize("days", [-1, 36_501, 10**12])
def test_a_retention_beyond_the_calendar_is_one_line(tmp_path: Path, days: int) -> None:
    (tmp_path / CONFIG_FILE).write_text(f"results_retention_days = {days}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="results_retention_days") as refused:
        read_config(tmp_path)
    assert "\n" not in str(refused.value)
