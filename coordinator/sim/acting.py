"""Whoever acts on the rollout in a simulation: real rounds, by processes that may die and are replaced."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from random import Random

from coordinator.db.control import ControlStore, Transaction
from coordinator.rollouts.rounds import Round, Rounds
from coordinator.sim.founding import TOPICS
from protos.identity import NodeId


class Died(BaseException):
    """The process is gone before its transaction was committed."""


class Mortal:
    """A store whose next transaction may be the last of its process."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store
        self.dies = False

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""
        return self._store.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that writes; dying rolls it back."""
        with self._store.write() as tx:
            yield tx
            if self.dies:
                raise Died


class Coordinators:
    """So many processes on one database; one of them acts.

    Args:
        store: the database.
        now: the virtual clock.
        count: how many.
        crash_rate: of rounds in which the process dies.
        random: the source of chance.
    """

    def __init__(
        self, store: ControlStore, now: Callable[[], datetime], count: int, crash_rate: float, random: Random
    ) -> None:
        self._store, self._now, self._crash_rate, self._random = Mortal(store), now, crash_rate, random
        self._lives = 0
        self._living = [self._born() for _ in range(count)]
        self.rounds = 0
        self.crashes = 0

    def act(self) -> tuple[tuple[NodeId, ...], datetime | None]:
        """Everybody's round, in any order: whose documents changed, and when time alone will change something."""
        order = self._random.sample(range(len(self._living)), len(self._living))
        found = [self._round(place) for place in order]
        documents = dict.fromkeys(node for one in found for node in one.nodes)
        acted = [one for one in found if one.watches] or found  # who waits for the lease waits as long as another acts
        return tuple(documents), min((one.wake_at for one in acted if one.wake_at is not None), default=None)

    def _round(self, place: int) -> Round:
        self.rounds += 1
        self._store.dies = self._random.random() < self._crash_rate
        try:
            return self._living[place].once()
        except Died:
            self.crashes += 1
            self._living[place] = self._born()
            return Round(wake_at=self._now())
        finally:
            self._store.dies = False

    def _born(self) -> Rounds:
        self._lives += 1
        return Rounds(self._store, TOPICS, self._now, f"process {self._lives}")
