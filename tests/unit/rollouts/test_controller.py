"""The loop that acts: what wakes it, what it survives, what it leaves behind."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from coordinator.errors import Unreachable
from coordinator.rollouts.controller import RolloutController
from coordinator.rollouts.rounds import Round
from tests.unit.rollouts.examples import NOW, node
from tests.waiting import until


class Told:
    """Rounds that are told what comes of them, then bring nothing."""

    def __init__(self, *outcomes: Round | Exception) -> None:
        self.outcomes = deque(outcomes)
        self.count = 0
        self.given_back = False

    def once(self) -> Round:
        """The next outcome."""
        self.count += 1
        outcome = self.outcomes.popleft() if self.outcomes else Round()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def give_back(self) -> None:
        """The lease."""
        self.given_back = True


@asynccontextmanager
async def running(rounds: Told) -> AsyncIterator[tuple[RolloutController, list[object]]]:
    """A controller and what it issued."""
    made = RolloutController(rounds, lambda: NOW)  # type: ignore[arg-type]  # what it asks of rounds
    issued: list[object] = []
    made.on_issued = issued.extend
    task = asyncio.create_task(made.run())
    try:
        yield made, issued
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_documents_are_told_of_and_whoever_is_next_need_not_wait() -> None:
    rounds = Told(Round((node(1), node(2))))
    async with running(rounds) as (_, issued):
        await until(lambda: issued == [node(1), node(2)])
    assert rounds.given_back


async def test_news_wake_it_at_once_and_a_moment_that_has_come() -> None:
    rounds = Told(Round(wake_at=NOW), Round(wake_at=NOW + timedelta(hours=1)))
    async with running(rounds) as (controller, _):
        await until(lambda: rounds.count == 2)
        controller.wake()
        await until(lambda: rounds.count == 3)


async def test_a_round_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.rollouts.controller.AGAIN_AFTER_S", 0.0)
    rounds = Told(Unreachable("the database is away"), AssertionError("a fault of ours"), Round((node(1),)))
    async with running(rounds) as (_, issued):
        await until(lambda: issued == [node(1)])
