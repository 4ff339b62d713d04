"""Who acts on rollouts, where several coordinator processes share a database: one holds the lease. Pure.

The lease is read and written in the transaction of what its holder does, and writers follow one another: whoever lost
it meanwhile, however long it was asleep, finds another's fence there and does nothing. So clocks decide only how soon
somebody else may act, never whether two do.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from coordinator.rollouts.store import Lease

NAME = "rollouts"
LASTS = timedelta(seconds=6)
"""So long after its last sign of life another takes a holder's place."""


def taken(held: Lease | None, holder: str, now: datetime) -> Lease | None:
    """The lease as `holder` has it from now on; None while it is another's.

    A lease that ends further ahead than any can is of a clock that was wrong: it holds nobody up.
    """
    if held is None:
        return Lease(holder, 1, now + LASTS)
    if held.holder == holder:
        return replace(held, until=now + LASTS)
    if now < held.until <= now + 2 * LASTS:
        return None
    return Lease(holder, held.fence + 1, now + LASTS)


def is_worth_writing(held: Lease | None, lease: Lease) -> bool:
    """Whether the lease says enough that is new: each write costs a commit."""
    return held is None or held.fence != lease.fence or abs(lease.until - held.until) > LASTS / 4


def given_back(held: Lease, now: datetime) -> Lease:
    """The lease of a holder that stops: whoever is next need not wait."""
    return replace(held, until=now)
