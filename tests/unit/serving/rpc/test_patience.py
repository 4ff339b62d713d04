"""How long a call's message is waited for; a context that is read once stands for gRPC's."""

import asyncio
from typing import Any

import pytest

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rpc.patience import Patience


class Context:
    """A call whose message comes when `come` is set to it."""

    def __init__(self) -> None:
        self.come: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        return await self.come


def waiting(patience: Patience) -> tuple[Context, "asyncio.Task[bytes]"]:
    context: Any = Context()
    return context, asyncio.create_task(patience.message(context))


async def refusal(task: "asyncio.Task[bytes]") -> Kind:
    with pytest.raises(ServingError) as caught:
        await task
    return caught.value.kind


async def test_calls_that_wait_too_long_end_and_later_ones_still_have_their_time() -> None:
    patience = Patience(0.05, 10)
    _, early = waiting(patience)
    await asyncio.sleep(0.03)
    context, late = waiting(patience)
    assert await refusal(early) is Kind.DEADLINE
    assert not late.done()
    context.come.set_result(b"here")
    assert await late == b"here"


async def test_each_of_two_that_never_come_ends() -> None:
    patience = Patience(0.02, 10)
    calls = [waiting(patience)[1] for _ in range(2)]
    assert [await refusal(call) for call in calls] == [Kind.DEADLINE] * 2
    assert await refusal(waiting(patience)[1]) is Kind.DEADLINE


async def test_of_too_many_the_one_that_has_waited_longest_ends() -> None:
    patience = Patience(60, 2)
    calls = [waiting(patience) for _ in range(3)]
    assert await refusal(calls[0][1]) is Kind.DEADLINE
    for context, _ in calls[1:]:
        context.come.set_result(b"")
    assert [await task for _, task in calls[1:]] == [b"", b""]


async def test_a_call_that_its_client_takes_back_is_cancelled_not_late() -> None:
    _, task = waiting(Patience(60, 2))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_goes_on_after_its_refusal() -> None:
    async def twice() -> bool:
        for _ in range(2):
            context: Any = Context()
            with pytest.raises(ServingError):
                await patience.message(context)
        await asyncio.sleep(0)
        return True

    patience = Patience(0.01, 2)
    assert await asyncio.create_task(twice())
