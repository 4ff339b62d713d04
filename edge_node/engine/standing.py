"""A session on a ladder: runs on the best rung that works, falls to the next within a run, climbs again later.

No ask is lost by a fall: the same feeds are given to the next rung. Where that fails on them too, they were to blame,
and the rung has not fallen. A fallen rung is loaded and tried again beside the runs, never in one.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edge_node.engine.base import Array, Session, TensorSpec
from edge_node.engine.ladder import Fall, after_fall, standing, told
from edge_node.errors import EngineFailed, NearfieldError
from edge_node.rungs import Rung

Open = Callable[[Rung], Session]


class LadderSession:
    """A session of several rungs, which are all of one file. `falls` are those of before, by place."""

    concurrent = False

    def __init__(
        self,
        rungs: Sequence[Rung],
        open_rung: Open,
        falls: Mapping[int, Fall] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the best rung that may be used.

        Raises:
            NearfieldError: not even the last one can be loaded.
        """
        self._rungs, self._open, self._clock = tuple(rungs), open_rung, clock
        self._falls = dict(falls or {})
        self._at = standing(len(self._rungs), self._falls, clock())
        self._climbing: threading.Thread | None = None
        self._climbed: tuple[int, Session] | None = None
        self._spare: tuple[int, Session] | None = None
        self._closing, self._closed = threading.Lock(), False
        self._session = self._first()
        self.inputs: tuple[TensorSpec, ...] = self._session.inputs
        self.outputs: tuple[TensorSpec, ...] = self._session.outputs

    @property
    def engine(self) -> str:
        """Of the rung in use."""
        return self._session.engine

    @property
    def engine_version(self) -> str:
        """Of the rung in use."""
        return self._session.engine_version

    @property
    def accelerator(self) -> str:
        """Of the rung in use."""
        return self._session.accelerator

    @property
    def fell(self) -> str:
        """Why it does not run on its best rung, one line; empty where it does."""
        return told([rung.name for rung in self._rungs], self._falls, self._at)

    @property
    def last(self) -> bool:
        """Whether nothing is left to fall to."""
        return self._at == len(self._rungs) - 1

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `base.Session.run`."""
        self._climb()
        try:
            return self._session.run(feeds)
        except EngineFailed as error:
            if self.last:
                raise
            return self._run_below(feeds, error)

    def close(self) -> None:
        """See `base.Session.close`. What is being tried beside is closed when it is through, if ever: it may hang."""
        with self._closing:
            self._closed = True
            beside = [held for held in (self._spare, self._climbed) if held is not None]
            self._spare = self._climbed = None
        for _, session in beside:
            session.close()
        self._session.close()

    def _first(self) -> Session:
        while True:
            try:
                return self._open(self._rungs[self._at])
            except NearfieldError as error:
                if self.last:
                    raise
                self._fallen(self._at, str(error))
                self._at = self._next()

    def _run_below(self, feeds: Mapping[str, Array], error: EngineFailed) -> dict[str, Array]:
        """The answer of the next rung that loads. It stays only if it answers."""
        place, below = self._below()
        try:
            answer = below.run(feeds)
        except EngineFailed:
            self._spare = place, below  # the feeds' fault: the next such feeds shall not load it again
            raise error from None
        self._fallen(self._at, str(error))
        self._session.close()
        self._at, self._session, self._spare = place, below, None
        return answer

    def _below(self) -> tuple[int, Session]:
        if self._spare is not None:
            return self._spare
        while (place := self._next()) < len(self._rungs) - 1:
            try:
                return place, self._open(self._rungs[place])
            except NearfieldError as error:
                self._fallen(place, str(error))
        return place, self._open(self._rungs[-1])

    def _next(self) -> int:
        """The place of the best rung below this one that may be used now."""
        above = {place: Fall("", 1, math.inf) for place in range(self._at + 1)}
        return standing(len(self._rungs), self._falls | above, self._clock())

    def _fallen(self, place: int, reason: str) -> None:
        self._falls[place] = after_fall(self._falls.get(place), reason, self._clock())

    def _climb(self) -> None:
        """Take over what was tried beside; have a rung tried where its time has come."""
        if self._at == 0 and self._climbed is None:
            return
        if self._climbed is not None:
            before = self._session
            self._at, self._session = self._climbed
            self._climbed = self._climbing = None
            before.close()
            self._falls = {place: fall for place, fall in self._falls.items() if place < self._at}
        elif self._climbing is None or not self._climbing.is_alive():
            place = standing(len(self._rungs), self._falls, self._clock())
            if place < self._at:
                self._climbing = threading.Thread(target=self._try, args=(place,), name="climb", daemon=True)
                self._climbing.start()

    def _try(self, place: int) -> None:
        """Load a rung and have it answer zeros."""
        try:
            session = self._open(self._rungs[place])
            try:
                session.run({spec.name: _zeros(spec) for spec in session.inputs})
            except NearfieldError:
                session.close()
                raise
        except NearfieldError as error:
            self._fallen(place, str(error))
        else:
            self._take_over(place, session)

    def _take_over(self, place: int, session: Session) -> None:
        """Have the next run use what was tried, unless this was closed meanwhile."""
        with self._closing:
            if not self._closed:
                self._climbed = place, session
                return
        session.close()


def _zeros(spec: TensorSpec) -> Array:
    return np.zeros([axis or 1 for axis in spec.shape], spec.dtype)
