"""Go-back-N, the sender's half: what may be sent next, and when to begin again. No clock, no socket, no disk.

- Results go out in order. Up to `limit` messages and `MAX_BYTES` may be unacknowledged.
- An acknowledgement is one number: everything through it is committed. It frees the messages that end at or below it.
- No acknowledgement for `patience` seconds, or a new connection: everything above the acknowledged is sent again.
- Each timeout doubles the patience and halves the limit, down to one message: a collector that is away for a week is
  asked with one message a half minute, and meets no flood when it returns. Progress restores both, the limit by one
  for every message acknowledged.
- Nothing is acknowledged before it was sent: of a larger number only as much is believed, so that nobody who can sign
  acknowledgements erases an outbox. (After a restart some results are therefore sent once more.)
- An acknowledgement below what is freed comes from a collector that lost data (restored from a backup): the sender
  begins there; the outbox fills what it no longer has with a tombstone.
"""

from collections import deque

PATIENCE_S = 2.0
LONGEST_PATIENCE_S = 30.0
MAX_MESSAGES = 512
FIRST_MESSAGES = 64
MAX_BYTES = 4 * 1024 * 1024


class Sending:
    """The sender's state. `acked`, `sent` and `furthest`, the highest that ever was sent, are sequence numbers;
    `acked <= sent <= furthest` always.
    """

    def __init__(self, acked: int) -> None:
        self.acked = acked
        self.sent = acked
        self.furthest = acked
        self.timeouts = 0
        self.limit = FIRST_MESSAGES
        self._in_flight: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self._deadline: float | None = None

    @property
    def patience(self) -> float:
        """Seconds without an acknowledgement after which everything is sent again."""
        return float(min(PATIENCE_S * 2 ** min(self.timeouts, 16), LONGEST_PATIENCE_S))

    def has_room(self) -> bool:
        """Whether one more message may be under way."""
        return len(self._in_flight) < self.limit and (not self._in_flight or self._bytes < MAX_BYTES)

    def on_sent(self, last: int, size: int, now: float) -> None:
        """A message whose last event is `last` was handed to the link."""
        self.sent = last
        self.furthest = max(self.furthest, last)
        self._in_flight.append((last, size))
        self._bytes += size
        if self._deadline is None:
            self._deadline = now + self.patience

    def on_acked(self, told: int, now: float) -> int:
        """The collector says: committed through this number; through which one that is believed."""
        through = min(told, self.furthest)
        if through < self.acked:
            self._begin_at(through)
            return through
        progress = through > self.acked
        self.acked = through
        self.sent = max(self.sent, through)
        while self._in_flight and self._in_flight[0][0] <= through:
            self._bytes -= self._in_flight.popleft()[1]
            self.limit = min(self.limit + 1, MAX_MESSAGES)
        if progress:
            self.timeouts = 0
            self._deadline = now + self.patience if self._in_flight else None
        return through

    def on_connected(self) -> None:
        """A new connection: what was under way on the old one may be lost."""
        self.timeouts = 0
        self.limit = max(self.limit, FIRST_MESSAGES)
        self._begin_at(self.acked)

    def on_time(self, now: float) -> bool:
        """Whether patience has run out at this time; if so the sender begins again."""
        if self._deadline is None or now < self._deadline:
            return False
        self.timeouts += 1
        self.limit = max(1, self.limit // 2)
        self._begin_at(self.acked)
        return True

    def wait_s(self, now: float) -> float | None:
        """Seconds until `on_time` has something to say; None while nothing is under way."""
        return None if self._deadline is None else max(0.0, self._deadline - now)

    def _begin_at(self, through: int) -> None:
        self.acked = self.sent = through
        self._in_flight.clear()
        self._bytes = 0
        self._deadline = None
