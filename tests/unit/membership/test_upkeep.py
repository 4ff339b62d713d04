"""Where a node asks for its certificate, when its coordinator has moved."""

import pytest

from edge_node.errors import Refused, Stranger, Unreachable
from edge_node.link import discovery
from edge_node.membership.upkeep import where_it_is


class Answers:
    """What each address answers; a string, or an error to raise."""

    def __init__(self, **answers: str | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, address: str) -> str:
        self.asked.append(address)
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    addresses: list[str] = []

    async def find_enrollment() -> tuple[str, ...]:
        if not addresses:
            raise Unreachable("multicast is not possible here")
        return tuple(addresses)

    monkeypatch.setattr(discovery, "find_enrollment", find_enrollment)
    return addresses


async def test_the_known_address_is_asked_first_and_alone(announced: list[str]) -> None:
    announced.append("elsewhere")
    answers = Answers(here="yes", elsewhere="no")
    assert await where_it_is("here", answers) == "yes"
    assert answers.asked == ["here"]


async def test_a_coordinator_that_moved_is_found_past_strangers(announced: list[str]) -> None:
    announced.extend(["stranger", "elsewhere"])
    answers = Answers(here=Unreachable("gone"), stranger=Stranger("another"), elsewhere="yes")
    assert await where_it_is("here", answers) == "yes"


async def test_nobody_found_is_told_by_the_known_address(announced: list[str]) -> None:
    with pytest.raises(Unreachable, match=r"^gone$"):
        await where_it_is("here", Answers(here=Unreachable("gone")))
    announced.append("stranger")
    with pytest.raises(Unreachable, match=r"^gone$"):
        await where_it_is("here", Answers(here=Unreachable("gone"), stranger=Stranger("another")))


async def test_a_refusal_is_final(announced: list[str]) -> None:
    announced.append("elsewhere")
    with pytest.raises(Refused, match="revoked"):
        await where_it_is("here", Answers(here=Refused("revoked"), elsewhere="yes"))
