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


def test_a_closed_hand_off_gives_what_is_there_and_then_nothing() -> None:
    handoff: Handoff[int] = Handoff()
    handoff.put(1)
    handoff.close()
    assert handoff.take() == 1
    assert handoff.take() is None


def test_closing_wakes_every_taker() -> None:
    handoff: Handoff[int] = Handoff()
    with ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(handoff.take) for _ in range(3)]
        handoff.close()
        assert [one.result() for one in taken] == [None, None, None]


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
