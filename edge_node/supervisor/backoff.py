"""When a failed step may be tried again. Pure."""

from edge_node.supervisor.actual import Failure

FIRST_S = 1.0
LONGEST_S = 300.0


def failed_again(before: Failure | None, reason: str, now: float, *, refused: bool = False) -> Failure:
    """The failure after one more attempt: twice the wait each time, up to five minutes."""
    attempts = 1 if before is None else before.attempts + 1
    return Failure(reason, attempts, now + min(FIRST_S * 2.0 ** min(attempts - 1, 10), LONGEST_S), refused)
