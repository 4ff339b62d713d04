"""Decides which asks of a model go to its session together, in which order, and which are refused or too late.

Pure: time is an argument, in nanoseconds of any one clock. One queue per served version:

- the first of the highest priority goes first, and with it what may share its batch; in a priority callers take
  turns, each with its oldest ask, so that nobody's thousand asks keep another's one waiting;
- what does not fit is refused. Where another caller holds more than the one who asks, its newest ask is refused
  instead: a full queue is no way to lock others out;
- a batch is what waits (greedy), unless the policy wants it to wait for more;
- asks of one sequence go in order and one at a time.

When an engine is free, and what a batch does there, is not decided here.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

FOREVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Policy:
    """How a model's asks are queued. `rows` is the largest batch; `levels` of priority, 1 is first.

    A batch waits `delay_ns` for more, unless it is full or of a preferred size. `asks` wait at most, and they hold at
    most `size` bytes.
    """

    rows: int = 1
    preferred: tuple[int, ...] = ()
    delay_ns: int = 0
    asks: int = 256
    size: int = 64 * 2**20
    levels: int = 1


@dataclass(slots=True, eq=False)
class Waiting:
    """An ask that waits. Asks of equal `form` may share a batch, of which this one takes `rows`.

    `size` is the memory that it holds while it waits, in bytes. `priority` 0 is the last level.
    """

    caller: str
    form: Hashable
    rows: int
    size: int
    since_ns: int
    deadline_ns: int = 0
    priority: int = 0
    sequence: int | str | None = None


T = TypeVar("T", bound=Waiting)


class Queue(Generic[T]):
    """The asks that wait for one served version."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._levels: list[OrderedDict[str, deque[T]]] = [OrderedDict() for _ in range(max(1, policy.levels))]
        self._held: dict[str, int] = {}
        self._cost = 0
        self._count = 0
        self._deadline_ns = FOREVER

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return (ask for level in self._levels for line in level.values() for ask in line)

    def offer(self, ask: T) -> list[T]:
        """Let an ask wait. Who is refused for it: nobody, the newest of the greediest caller, or the ask itself."""
        missing = self._cost + self._cost_of(ask) - self._most()
        refused = self._refused_for(ask, missing) if missing > 0 else []
        if ask not in refused:
            for one in refused:
                self.remove(one)
            self._add(ask)
        return refused

    def passes(self, ask: T) -> bool:
        """Whether an ask goes at once where an engine is free: nobody waits, and it is not to wait for others."""
        return not self._count and (not self.policy.delay_ns or ask.rows >= self.policy.rows)

    def fills(self, ask: T) -> bool:
        """Whether no other ask could join this one."""
        return ask.rows >= self.policy.rows

    def put_back(self, ask: T) -> None:
        """An ask that was taken waits again, as its caller's first."""
        self._add(ask)
        line = self._level(ask)[ask.caller]
        line.rotate(1)

    def remove(self, ask: T) -> None:
        """An ask waits no more: its caller is gone, or it is taken. Nothing happens where it does not wait."""
        level = self._level(ask)
        line = level.get(ask.caller)
        if line is None or ask not in line:
            return
        line.remove(ask)
        if not line:
            del level[ask.caller]
        self._forget(ask)

    def expire(self, now_ns: int) -> list[T]:
        """Take out the asks whose deadline is over."""
        if now_ns < self._deadline_ns:
            return []
        late = [ask for ask in self if 0 < ask.deadline_ns <= now_ns]
        for ask in late:
            self.remove(ask)
        self._deadline_ns = min((ask.deadline_ns for ask in self if ask.deadline_ns), default=FOREVER)
        return late

    def take(self, now_ns: int, busy: Collection[int | str] = (), *, full: bool = False) -> list[T]:
        """Take the next batch; empty where nothing is to be sent now.

        Args:
            now_ns: the time.
            busy: the sequences that have an ask in work.
            full: take a batch only if no other ask could join it.
        """
        if not self._count:
            return []
        together = self._together(busy)
        rows = sum(ask.rows for ask in together)
        if full and rows < self.policy.rows:
            return []
        waited_ns = now_ns - min((ask.since_ns for ask in together), default=now_ns)
        chosen = _first_rows(together, rows_to_send(rows, waited_ns, self.policy))
        for ask in chosen:
            self._pop(ask)
        return chosen

    def due_ns(self, *, free: bool) -> int:
        """When something is to be done though nothing happens: a deadline, or (`free`: an engine is) a full delay."""
        if not (free and self.policy.delay_ns and self._count):
            return self._deadline_ns
        oldest_ns = min(line[0].since_ns for level in self._levels for line in level.values())
        return min(self._deadline_ns, oldest_ns + self.policy.delay_ns)

    def _together(self, busy: Collection[int | str]) -> list[T]:
        """The first ask and what may share its batch, in turns, each caller's in order."""
        found: list[T] = []
        rows = 0
        for level in self._levels:
            lines = [iter(line) for line in level.values()]
            while lines:
                goes_on = []
                for line in lines:
                    ask = next(line, None)
                    if ask is None or (ask.sequence is not None and ask.sequence in busy):
                        continue
                    if found and (ask.form != found[0].form or rows + ask.rows > self.policy.rows):
                        continue
                    found.append(ask)
                    rows += ask.rows
                    if rows >= self.policy.rows:
                        return found
                    goes_on.append(line)
                lines = goes_on
        return found

    def _refused_for(self, ask: T, missing: int) -> list[T]:
        greediest = max(self._held, key=self._held.__getitem__, default=ask.caller)
        refused: list[T] = []
        for newest in self._newest(greediest):
            refused.append(newest)
            missing -= self._cost_of(newest)
            if missing <= 0:
                break
        left = self._held.get(greediest, 0) - sum(map(self._cost_of, refused))
        fair = left >= self._held.get(ask.caller, 0) + self._cost_of(ask)
        return refused if missing <= 0 and fair and greediest != ask.caller else [ask]

    def _newest(self, caller: str) -> Iterator[T]:
        return (ask for level in reversed(self._levels) for ask in reversed(level.get(caller, ())))

    def _add(self, ask: T) -> None:
        self._level(ask).setdefault(ask.caller, deque()).append(ask)
        self._count += 1
        self._cost += self._cost_of(ask)
        self._held[ask.caller] = self._held.get(ask.caller, 0) + self._cost_of(ask)
        if ask.deadline_ns:
            self._deadline_ns = min(self._deadline_ns, ask.deadline_ns)

    def _pop(self, ask: T) -> None:
        """Remove the oldest of a line, whose caller has had its turn."""
        level = self._level(ask)
        line = level[ask.caller]
        line.popleft()
        if line:
            level.move_to_end(ask.caller)
        else:
            del level[ask.caller]
        self._forget(ask)

    def _forget(self, ask: T) -> None:
        self._count -= 1
        self._cost -= self._cost_of(ask)
        self._held[ask.caller] -= self._cost_of(ask)
        if not self._held[ask.caller]:
            del self._held[ask.caller]
        if not self._count:
            self._deadline_ns = FOREVER

    def _level(self, ask: T) -> OrderedDict[str, deque[T]]:
        """Priorities would reorder a sequence, so sequences have none."""
        last = len(self._levels) - 1
        return self._levels[min(ask.priority - 1, last) if ask.priority and ask.sequence is None else last]

    def _cost_of(self, ask: T) -> int:
        """Its share of both limits, in whole numbers: the larger of one ask and its bytes."""
        return max(self.policy.size, ask.size * self.policy.asks)

    def _most(self) -> int:
        return self.policy.size * self.policy.asks


def rows_to_send(rows: int, waited_ns: int, policy: Policy) -> int:
    """How many of the rows that could go together go now.

    Args:
        rows: of the asks that may share the batch.
        waited_ns: how long the oldest of them has waited.
        policy: the model's.
    """
    if rows >= policy.rows:
        return rows
    preferred = max((size for size in policy.preferred if size <= rows), default=0)
    if preferred or waited_ns >= policy.delay_ns:
        return preferred or rows
    return 0


def _first_rows(asks: list[T], rows: int) -> list[T]:
    """As many of the first asks as have no more rows than that, but one at least; none for 0."""
    if not rows:
        return []
    taken = 0
    for place, ask in enumerate(asks):
        taken += ask.rows
        if taken > rows:
            return asks[: max(place, 1)]
    return asks
