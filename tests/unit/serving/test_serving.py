"""The server with workers that echo."""

import asyncio
from pathlib import Path

import pytest

from edge_node.serving.control import Index, ModelState
from edge_node.serving.inference import Kind, ServingError
from tests.unit.serving.world import HERE, ask, world


async def test_an_inference_is_answered_with_what_its_worker_says(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve()
        answered = await here.server.infer(ask(b"abcdefgh", id="7"), HERE)
    assert (answered.model, answered.version, answered.id) == ("m", "1", "7")
    assert [(one.name, one.shape, one.data) for one in answered.outputs] == [("y", (2, 4), b"abcdefgh")]


async def test_many_at_once_are_answered_each_with_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve()
        asked = [bytes([number]) * 4 for number in range(100)]
        answers = await asyncio.gather(*(here.server.infer(ask(data), HERE) for data in asked))
    assert [answered.outputs[0].data for answered in answers] == asked
    assert len(worker.batches) < len(asked)


async def test_an_unknown_model_is_not_found(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        with pytest.raises(ServingError, match="Request for unknown model: 'm' is not found") as raised:
            await here.server.infer(ask(), HERE)
    assert raised.value.kind is Kind.NOT_FOUND


async def test_a_model_that_is_loaded_just_now_is_not_ready_rather_than_unknown(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.server.told(Index((ModelState("m", "1", "LOADING"), ModelState("gone", "1", "UNAVAILABLE")), ready=False))
        for name, kind in (("m", Kind.NOT_READY), ("gone", Kind.NOT_FOUND)):
            with pytest.raises(ServingError) as raised:
                await here.server.infer(ask(model=name), HERE)
            assert raised.value.kind is kind
