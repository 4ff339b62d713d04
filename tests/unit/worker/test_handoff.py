"""Between the stages: one place, and answers in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_node.worker.handoff import Handoff, Turns


def test_things_are_taken_in_the_order_they_were_put() -> None:
    handoff: Handoff[int] = Handoff()
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(lambda: list(map(handoff.put, range(100))))
        assert [handoff.take() for _ in range(100)] == list(range(100))
        putting.result()


def test_who_has_the_next_waits_until_the_place_is_free() -> None:
    handoff: Handoff[int] = Handoff()
    handoff.put(1)
    second = threading.Thread(target=handoff.put, args=(2,))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    assert handoff.take() == 1
    second.join()
    assert handoff.take() == 2


def test_closing_waits_until_what_is_there_is_taken_and_then_there_is_nothing() -> None:
    handoff: Handoff[int] = Handoff()
    handoff.put(1)
    closing = threading.Thread(target=handoff.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    assert handoff.take() == 1
    closing.join()
    assert [handoff.take(), handoff.take()] == [None, None]


def test_several_takers_get_everything_once_and_all_hear_of_the_end() -> None:
    handoff: Handoff[int] = Handoff()

    def take_all() -> list[int]:
        return list(iter(handoff.take, None))

    with ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(take_all) for _ in range(3)]
        for number in range(300):
            handoff.put(number)
        handoff.close()
        assert sorted(number for one in taken for number in one.result()) == list(range(300))


def test_turns_come_in_order_though_threads_arrive_in_reverse() -> None:
    turns, said = Turns(), list[int]()

    def say(number: int) -> None:
        with turns.turn(number):
            said.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(say, reversed(range(8))))
    assert said == list(range(8))


def test_a_turn_that_fails_does_not_stop_the_next() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn(0):
        raise ZeroDivisionError
    with turns.turn(1):
        pass
