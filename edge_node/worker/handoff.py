"""Between the stages of a pipeline: a place for one thing, and answers in the order of their frames."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Handoff(Generic[T]):
    """A place for one thing. Nothing queues: who has the next one waits until this one is taken.

    Two locks, each released by the other side: between two inferences of milliseconds every step counts.
    """

    def __init__(self) -> None:
        self._thing: T | None = None
        self._free = threading.Lock()
        self._filled = threading.Lock()
        self._filled.acquire()

    def put(self, thing: T) -> None:
        """Wait until the place is free, and put the thing there."""
        self._put(thing)

    def take(self) -> T | None:
        """Wait for a thing; None when the hand-off is closed."""
        self._filled.acquire()
        thing, self._thing = self._thing, None
        if thing is None:
            self._filled.release()  # closed: for the next taker
        else:
            self._free.release()
        return thing

    def close(self) -> None:
        """Wait until the place is free: no more will be put."""
        self._put(None)

    def _put(self, thing: T | None) -> None:
        self._free.acquire()
        self._thing = thing
        self._filled.release()


class Turns:
    """Lets threads that finish out of order go on in order: numbers 0, 1, 2, …, each exactly once."""

    def __init__(self) -> None:
        self._next = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Wait for a number's turn; it is the next one's when the block is left, also by an exception."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == number)
        try:
            yield
        finally:
            with self._changed:
                self._next += 1
                self._changed.notify_all()
