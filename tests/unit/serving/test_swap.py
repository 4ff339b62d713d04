"""Sessions come, go, are replaced and die, while asks wait."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from edge_node.lane.messages import Answer, Ask
from edge_node.serving.control import Batching, Serve
from edge_node.serving.inference import Answered, Kind, ServingError
from edge_node.serving.models import Withdrawn
from tests.unit.serving.stub_worker import HELLO
from tests.unit.serving.world import HERE, World, ask, world
from tests.waiting import until

SECOND = msgspec.structs.replace(HELLO, session="s2")
ALONE = msgspec.structs.replace(HELLO, max_batch=1)


def asking(here: World, count: int) -> list[asyncio.Task[Answered]]:
    """Asks under way, each of another caller."""
    return [
        asyncio.create_task(here.server.infer(ask(bytes([number]) * 4), replace(HERE, name=f"c{number}")))
        for number in range(count)
    ]


async def outcomes(tasks: list[asyncio.Task[Answered]]) -> list[str]:
    """`answered`, or why not."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [one.kind.value if isinstance(one, ServingError) else type(one).__name__.lower() for one in results]


async def test_a_worker_may_connect_before_the_parent_says_serve_or_after(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        serving = asyncio.create_task(here.server.models.serve(Serve(1, "m", "1", "s1", "stub")))
        here.worker(SECOND)
        here.worker(HELLO)
        await serving
        await here.server.models.serve(Serve(2, "n", "1", "s2", "stub"))
        assert (await here.server.infer(ask(), HERE)).model == "m"
        assert (await here.server.infer(ask(model="n"), HERE)).model == "n"


async def test_the_new_version_answers_at_once_and_the_old_one_finishes(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        old = await here.serve(ALONE)
        old.gate.clear()
        begun = asking(here, 5)
        await until(lambda: old.batches, "the old worker")
        await here.serve(SECOND, version="2")
        withdrawn = asyncio.create_task(here.server.models.withdraw("s1"))
        assert (await here.server.infer(ask(), HERE)).version == "2"
        assert not withdrawn.done()
        old.gate.set()
        await withdrawn
        assert {task.result().version for task in begun} == {"1"}
        assert here.server.versions("m") == ["2"]


async def test_a_version_is_replaced_under_its_own_name_without_a_lost_request(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve()
        done = False
        answered = 0

        async def keep_asking() -> None:
            nonlocal answered
            while not done:
                await here.server.infer(ask(), HERE)
                answered += 1

        clients = [asyncio.create_task(keep_asking()) for _ in range(4)]
        for number in range(4):
            await here.serve(msgspec.structs.replace(HELLO, session=f"t{number}"))
            await here.server.models.withdraw("s1" if not number else f"t{number - 1}")
        before = answered
        await until(lambda: answered > before, "an answer of the last session")
        done = True
        await asyncio.gather(*clients)


async def test_requests_without_a_version_go_to_the_default_and_versions_are_sorted(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve(version="10")
        here.worker(SECOND)
        await here.server.models.serve(Serve(2, "m", "9", "s2", "stub", default=False))
        assert (await here.server.infer(ask(), HERE)).version == "10"
        assert here.server.versions("m") == ["9", "10"]
        await here.server.models.withdraw("s1")
        assert here.server.model("m", "").version == "9"


async def test_a_model_that_is_withdrawn_is_unknown(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve()
        await here.server.models.withdraw("s1")
        with pytest.raises(ServingError, match="unknown model: 'm'"):
            here.server.model("m", "")
        await here.server.models.withdraw("s1")  # and again


async def test_a_session_that_is_withdrawn_before_its_worker_came_is_not_served(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        serving = asyncio.create_task(here.server.models.serve(Serve(1, "m", "1", "s1", "stub")))
        await asyncio.sleep(0)
        await here.server.models.withdraw("s1")
        with pytest.raises(Withdrawn):
            await serving


async def test_what_a_dead_worker_had_begun_fails_and_what_waited_is_answered_by_the_next(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE)
        worker.gate.clear()
        asked = asking(here, 5)
        await until(lambda: worker.batches, "the worker")
        worker.hang_up()
        await until(asked[0].done, "the one that had begun")
        assert here.server.ready()
        here.worker(ALONE)
        assert await outcomes(asked) == ["not_ready", *["answered"] * 4]


async def test_asks_wait_for_a_dead_worker_only_so_long(tmp_path: Path) -> None:
    async with world(tmp_path, resume_s=0.02) as here:
        worker = await here.serve(ALONE)
        worker.gate.clear()
        asked = asking(here, 3)
        await until(lambda: worker.batches, "the worker")
        worker.hang_up()
        assert await outcomes(asked) == ["not_ready"] * 3
        assert not here.server.ready()
        with pytest.raises(ServingError, match="is not at ready state") as raised:
            await here.server.infer(ask(), HERE)
        assert raised.value.kind is Kind.NOT_READY
        here.worker(ALONE)
        await until(here.server.ready, "the worker to be back")
        await here.server.infer(ask(), HERE)


async def test_another_session_of_the_version_takes_what_waits_for_a_dead_one(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE)
        worker.gate.clear()
        asked = asking(here, 3)
        await until(lambda: worker.batches, "the worker")
        worker.hang_up()
        await until(asked[0].done, "the one that had begun")
        await here.serve(msgspec.structs.replace(ALONE, session="s2"))
        assert await outcomes(asked) == ["not_ready", "answered", "answered"]
        await here.server.models.withdraw("s1")


async def test_a_withdrawn_session_without_a_worker_leaves_nobody_waiting(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE)
        worker.gate.clear()
        asked = asking(here, 3)
        await until(lambda: worker.batches, "the worker")
        worker.hang_up()
        await until(asked[0].done, "the one that had begun")
        await here.server.models.withdraw("s1")
        assert await outcomes(asked) == ["not_ready"] * 3


def overstate(ask: Ask, slot: memoryview) -> Answer:
    """An answer whose tensor reaches beyond the slot."""
    tensor = ask.tensors[0]
    return Answer((msgspec.structs.replace(tensor, name="y", offset=len(slot) - 2),))


async def test_a_worker_that_lies_is_not_believed_and_the_server_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path, resume_s=0.02) as here:
        await here.serve(answer=overstate)
        await here.serve(SECOND, model="honest")
        assert await outcomes(asking(here, 1)) == ["not_ready"]
        assert (await here.server.infer(ask(model="honest"), HERE)).model == "honest"


async def test_a_full_queue_says_busy_and_when_to_come_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE, batching=Batching(queue=2))
        worker.gate.clear()
        asked = asking(here, 6)
        await until(lambda: sum(task.done() for task in asked) == 2, "two to be refused")
        worker.gate.set()
        assert sorted(await outcomes(asked)) == ["answered"] * 4 + ["busy"] * 2
        error = next(task.exception() for task in asked if task.exception() is not None)
        assert isinstance(error, ServingError)
        assert error.retry_after_s is not None
        assert here.server.rejected == {"busy": 2}


async def test_a_deadline_is_kept_before_work_is_done(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE, batching=Batching(default_timeout_us=20_000))
        worker.gate.clear()
        asked = asking(here, 5)
        await until(lambda: sum(task.done() for task in asked) == 3, "those that only waited")
        worker.gate.set()
        assert await outcomes(asked) == ["answered"] * 2 + ["deadline"] * 3
        assert len(worker.batches) == 2
        with pytest.raises(ServingError, match="the deadline was over"):
            await here.server.infer(ask(deadline_ns=1), HERE)


async def test_a_caller_that_gave_up_costs_no_work(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(ALONE)
        worker.gate.clear()
        asked = asking(here, 4)
        await until(lambda: worker.batches, "the worker")
        for task in asked:
            task.cancel()
        assert await outcomes(asked) == ["cancellederror"] * 4
        worker.gate.set()
        await here.server.infer(ask(), HERE)
        assert len(worker.batches) == 3
        assert here.server.in_flight == 0
