"""The stub, and what holds back native chatter."""

import contextlib
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_node.engine.catalog import find
from edge_node.engine.quiet import without_chatter
from edge_node.errors import BadInput, EngineFailed


def write(path: Path, **more: object) -> Path:
    model = {
        "inputs": [{"name": "x", "dtype": "uint8", "shape": [1, 2]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [1, 3]}],
        **more,
    }
    path.write_bytes(msgspec.json.encode(model))
    return path


def test_the_answer_is_the_sum_of_the_feeds_and_the_position(tmp_path: Path) -> None:
    session = find("stub").open(write(tmp_path / "m.stub"), threads=1)
    np.testing.assert_array_equal(session.run({"x": np.array([[3, 4]], np.uint8)})["y"], [[7, 8, 9]])


def test_values_are_given_as_they_stand(tmp_path: Path) -> None:
    outputs = [{"name": "y", "dtype": "uint8", "shape": [1, 2], "scale": 0.5, "zero_point": 1, "values": [5, 6]}]
    session = find("stub").open(write(tmp_path / "m.stub", outputs=outputs), threads=1)
    assert (session.outputs[0].scale, session.outputs[0].zero_point) == (0.5, 1)
    np.testing.assert_array_equal(session.run({"x": np.zeros((1, 2), np.uint8)})["y"], [[5, 6]])


def test_it_fails_from_the_run_that_the_file_names(tmp_path: Path) -> None:
    session = find("stub").open(write(tmp_path / "m.stub", fail_from=1), threads=1)
    feeds = {"x": np.zeros((1, 2), np.uint8)}
    session.run(feeds)
    with pytest.raises(EngineFailed, match="the stub fails from run 1 on"):
        session.run(feeds)


def test_a_typo_in_the_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"m\.stub is not a stub model: Object contains unknown field `dealy_ms`"):
        find("stub").open(write(tmp_path / "m.stub", dealy_ms=3), threads=1)


def test_mere_information_is_held_back_and_warnings_pass(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"INFO: Created a delegate.\nWARNING: out of memory\n")
    os.write(2, b"INFO: afterwards\n")
    assert capfd.readouterr().err == "WARNING: out of memory\nINFO: afterwards\n"


def test_what_was_said_before_a_failure_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(ZeroDivisionError), without_chatter():
        os.write(2, b"ERROR: why\n")
        _ = 1 / 0
    assert capfd.readouterr().err == "ERROR: why\n"
