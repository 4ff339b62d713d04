"""What every engine must do, as plain functions: pytest runs them here, and `python -m` where there is no pytest.

    python -m tests.conformance.engine_suite litert tiny.tflite

Each check gets an engine and a model of one float32 input [1, 4] and one output of the same shape.
"""

import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge_node.engine.base import Array, Engine, Session
from edge_node.engine.catalog import find
from edge_node.errors import BadInput

Check = Callable[[Engine, Path], None]


def feed_of(session: Session, start: float = 0.0) -> dict[str, Array]:
    """A feed for the one input: four rising values."""
    return {session.inputs[0].name: np.arange(start, start + 4, dtype=np.float32).reshape(1, 4)}


def refusal(action: Callable[[], object]) -> str:
    """The one line of the BadInput that an action must raise."""
    try:
        action()
    except BadInput as error:
        line = str(error)
        assert line, "an empty complaint"
        assert "\n" not in line, line
        return line
    raise AssertionError("nothing was refused")


def says_what_goes_in_and_comes_out(engine: Engine, model: Path) -> None:
    """Names, types and shapes of the tensors."""
    session = engine.open(model, threads=1)
    assert [(spec.dtype, spec.shape) for spec in session.inputs] == [("float32", (1, 4))]
    assert [(spec.dtype, spec.shape) for spec in session.outputs] == [("float32", (1, 4))]
    assert session.outputs[0].scale is None
    assert (session.engine, session.engine_version) == (engine.name, engine.version)
    assert session.accelerator in engine.accelerators()
    session.close()


def answers_every_time_the_same(engine: Engine, model: Path) -> None:
    """The same feed, the same answer, of the stated type and shape."""
    session = engine.open(model, threads=1)
    first, second = (session.run(feed_of(session)) for _ in range(2))
    output = session.outputs[0]
    assert first[output.name].dtype.name == output.dtype
    assert first[output.name].shape == output.shape
    np.testing.assert_array_equal(first[output.name], second[output.name])
    session.close()


def gives_outputs_that_the_caller_owns(engine: Engine, model: Path) -> None:
    """A later run, and closing, leave earlier outputs alone; outputs may be written to."""
    session = engine.open(model, threads=1)
    name = session.outputs[0].name
    first = session.run(feed_of(session))[name]
    kept = first.copy()
    second = session.run(feed_of(session, 100.0))[name]
    assert not np.array_equal(first, second)
    second[:] = 0
    session.close()
    np.testing.assert_array_equal(first, kept)


def leaves_feeds_alone(engine: Engine, model: Path) -> None:
    """A feed is never written to, and may be read-only."""
    session = engine.open(model, threads=1)
    feed = feed_of(session)
    values = next(iter(feed.values()))
    values.flags.writeable = False
    session.run(feed)
    np.testing.assert_array_equal(values, np.arange(4, dtype=np.float32).reshape(1, 4))
    session.close()


def refuses_feeds_that_do_not_fit(engine: Engine, model: Path) -> None:
    """Missing, of another type, of another shape: one line that names the input; then it runs on."""
    session = engine.open(model, threads=1)
    name = session.inputs[0].name
    for feeds in ({}, {name: np.zeros((1, 4), np.float64)}, {name: np.zeros((1, 5), np.float32)}):
        assert repr(name) in refusal(lambda feeds=feeds: session.run(feeds))  # type: ignore[misc]
    session.run(feed_of(session))
    session.close()


def refuses_what_is_no_model(engine: Engine, model: Path) -> None:
    """Absent, a folder, empty, noise, cut in half: one line that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        contents = {
            "empty": b"",
            "noise": b"hello world" * 100,
            "half": model.read_bytes()[: model.stat().st_size // 2],
        }
        for name, content in contents.items():
            (place / f"{name}{engine.suffix}").write_bytes(content)
        (place / f"folder{engine.suffix}").mkdir()
        for name in (*contents, "folder", "absent"):
            path = place / f"{name}{engine.suffix}"
            assert str(path) in refusal(lambda path=path: engine.open(path, threads=1))  # type: ignore[misc]


def serves_several_sessions_at_once(engine: Engine, model: Path) -> None:
    """Sessions of one file, each in a thread, do not disturb one another."""

    def many(start: float) -> bool:
        session = engine.open(model, threads=1)
        name = session.outputs[0].name
        expected = session.run(feed_of(session, start))[name]
        same = all(np.array_equal(session.run(feed_of(session, start))[name], expected) for _ in range(50))
        session.close()
        return same

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, (0.0, 10.0, 20.0, 30.0)))


def takes_several_callers_where_it_says_so(engine: Engine, model: Path) -> None:
    """One session that is `concurrent`, run by several threads, answers each its own."""
    session = engine.open(model, threads=1)
    name = session.outputs[0].name
    starts = [0.0, 10.0, 20.0, 30.0] if session.concurrent else [0.0]
    expected = [session.run(feed_of(session, start))[name] for start in starts]

    def many(place: int) -> bool:
        feed = feed_of(session, starts[place])
        return all(np.array_equal(session.run(feed)[name], expected[place]) for _ in range(50))

    with ThreadPoolExecutor(len(starts)) as pool:
        assert all(pool.map(many, range(len(starts))))
    session.close()


def closes_more_than_once(engine: Engine, model: Path) -> None:
    """Closing is idempotent."""
    session = engine.open(model, threads=1)
    session.close()
    session.close()


CHECKS: tuple[Check, ...] = (
    says_what_goes_in_and_comes_out,
    answers_every_time_the_same,
    gives_outputs_that_the_caller_owns,
    leaves_feeds_alone,
    refuses_feeds_that_do_not_fit,
    refuses_what_is_no_model,
    serves_several_sessions_at_once,
    takes_several_callers_where_it_says_so,
    closes_more_than_once,
)


def main(engine: str, model: str) -> int:
    """Run every check; a failing one ends the process with its traceback."""
    for check in CHECKS:
        check(find(engine), Path(model))
        print(f"{find(engine).version}: {check.__name__}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
