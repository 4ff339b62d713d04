"""A session on a ladder, with the stub's accelerator that fails on command."""

from pathlib import Path

import numpy as np
import pytest

from edge_node.engine.base import Session
from edge_node.engine.ladder import Fall
from edge_node.engine.standing import LadderSession
from edge_node.engine.stub import StubEngine
from edge_node.errors import EngineFailed
from edge_node.rungs import Rung
from tests.conformance.engine_suite import feed_of
from tests.conformance.tiny_models import stub_model


class World:
    """A stub model with an accelerator above the processor, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.model, self.command = stub_model(folder / "m.stub"), folder / "command"
        self.command.touch()
        self.rungs: tuple[Rung, ...] = (Rung("stub", "npu", str(self.command)), Rung("stub"))
        self.now, self.opened = 100.0, 0

    def open(self, rung: Rung) -> Session:
        self.opened += 1
        return StubEngine().open(self.model, threads=1, rung=rung)

    def session(self, falls: dict[int, Fall] | None = None) -> LadderSession:
        return LadderSession(self.rungs, self.open, falls, lambda: self.now)


def climbed(session: LadderSession) -> None:
    """Run until what is tried beside is through, and once more."""
    session.run(feed_of(session))
    assert session._climbing is not None
    session._climbing.join()
    session.run(feed_of(session))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_accelerator_that_fails_loses_no_run_and_it_is_said(world: World) -> None:
    session = world.session()
    before = session.run(feed_of(session))["y"]
    assert (session.accelerator, session.fell, session.last) == ("npu", "", False)
    world.command.write_text("fail")
    np.testing.assert_array_equal(session.run(feed_of(session))["y"], before)
    assert (session.accelerator, session.last) == ("cpu", True)
    assert session.fell == "fell back from stub/npu: the stub's npu fails as it was told"
    session.close()


def test_a_fallen_rung_is_not_tried_at_every_run_but_after_a_while_and_comes_back(world: World) -> None:
    session = world.session()
    world.command.write_text("fail")
    for _ in range(5):
        session.run(feed_of(session))
    assert world.opened == 2
    world.command.write_text("")
    world.now += 31.0
    climbed(session)
    assert (session.accelerator, session.fell) == ("npu", "")
    session.close()


def test_a_rung_that_still_fails_when_it_is_tried_again_waits_longer(world: World) -> None:
    session = world.session()
    world.command.write_text("fail")
    session.run(feed_of(session))
    world.now += 31.0
    climbed(session)
    assert session.accelerator == "cpu"
    opened = world.opened
    world.now += 31.0
    session.run(feed_of(session))
    assert world.opened == opened
    session.close()


def test_feeds_that_no_rung_answers_are_not_the_rungs_fault(tmp_path: Path, world: World) -> None:
    world.model.write_bytes(world.model.read_bytes().replace(b'{"inputs"', b'{"fail_from": 0, "inputs"'))
    session = world.session()
    for _ in range(3):
        with pytest.raises(EngineFailed, match="the stub fails from run 0 on"):
            session.run(feed_of(session))
    assert (session.accelerator, session.fell) == ("npu", "")
    assert world.opened == 2
    session.close()


def test_a_rung_that_cannot_be_loaded_gives_way_to_the_next(world: World) -> None:
    world.command.write_text("fail")
    session = world.session()
    assert session.accelerator == "cpu"
    assert session.fell.startswith("fell back from stub/npu: ")
    session.close()


def test_a_rung_that_took_a_worker_with_it_is_not_begun_with(world: World) -> None:
    session = world.session({0: Fall("the worker was killed by SIGSEGV", 1, world.now + 30)})
    assert (session.accelerator, world.opened) == ("cpu", 1)
    session.close()
    session.close()


def test_a_rung_between_that_took_a_worker_with_it_is_left_out(world: World) -> None:
    between = Rung("stub", "gpu", str(world.command))
    world.rungs = (world.rungs[0], between, world.rungs[1])
    died = {1: Fall("the worker was killed by SIGSEGV", 1, world.now + 30)}
    session = world.session(died)
    assert session.accelerator == "npu"
    world.command.write_text("fail")
    session.run(feed_of(session))
    assert (session.accelerator, world.opened) == ("cpu", 2)
    session.close()
    session = world.session(died)
    assert (session.accelerator, world.opened) == ("cpu", 4), "nor where the best cannot be loaded"
    session.close()


def test_closing_waits_for_no_rung_that_hangs_when_it_is_tried_again(world: World) -> None:
    session = world.session({0: Fall("it hung", 1, world.now + 30)})
    world.command.write_text("hang")
    world.now += 31.0
    session.run(feed_of(session))
    assert session._climbing is not None
    assert session._climbing.is_alive()
    session.close()
