"""Requests that wait for the answer with their number."""

import asyncio

import pytest

from edge_node.numbered import Requests


def asked(requests: Requests[str, int], what: str) -> "tuple[int, asyncio.Task[int]]":
    number = requests.number()
    return number, asyncio.create_task(requests.answer(number, what, lambda: None))


async def test_each_request_gets_the_answer_with_its_number() -> None:
    requests: Requests[str, int] = Requests()
    (first, one), (second, other) = asked(requests, "a"), asked(requests, "b")
    await asyncio.sleep(0)
    assert list(requests) == ["a", "b"]
    requests.answered(second, 2)
    requests.answered(first, 1)
    assert (await one, await other, list(requests)) == (1, 2, [])


async def test_what_nobody_waits_for_changes_nothing() -> None:
    requests: Requests[str, int] = Requests()
    number, task = asked(requests, "a")
    await asyncio.sleep(0)
    task.cancel()
    requests.answered(number, 1)
    requests.failed(number, ValueError())
    requests.answered(99, 1)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(requests) == []


async def test_all_that_wait_fail_each_with_its_own_error() -> None:
    requests: Requests[str, int] = Requests()
    tasks = [asked(requests, what)[1] for what in ("a", "b")]
    await asyncio.sleep(0)
    requests.fail_all(ValueError)
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["a", "b"]


async def test_a_request_that_cannot_be_sent_waits_for_nothing() -> None:
    requests: Requests[str, int] = Requests()

    def unsendable() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await requests.answer(requests.number(), "a", unsendable)
    assert list(requests) == []
