"""The audit log's hash chain. Pure: entries in, entries or the first thing that is wrong out.

An entry's hash is the SHA-256 of the JSON array `[seq, at, actor, action, subject, detail, previous]` without blanks,
`previous` being the hash of the entry before (64 zeros for the first). So nothing can be changed, left out or put in
without changing every hash after it. That the end was cut off shows only against a head that somebody kept elsewhere:
every head goes to the log stream.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from coordinator.errors import WrongUsage

NOTHING = "0" * 64
MAX_DETAIL = 4096
"""Characters of an entry's detail."""
DONE = "done"

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Act:
    """What somebody did, or tried: `action` is `noun.verb`, `outcome` is done, sent (to a node), or why not."""

    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    outcome: str = DONE


@dataclass(frozen=True)
class Head:
    """The end of a log: the number and the hash of its last entry."""

    seq: int = 0
    hash: str = NOTHING

    def __str__(self) -> str:
        """As it is logged, and given to `edgectl audit verify --head`."""
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True)
class Entry:
    """One line of the log; `detail` is JSON."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str = ""

    @property
    def head(self) -> Head:
        """The log's head when this is its last entry."""
        return Head(self.seq, self.hash)


def chained(head: Head, act: Act, at: datetime) -> Entry:
    """The entry that follows `head`."""
    detail = json.dumps({**act.detail, "outcome": act.outcome}, ensure_ascii=False, sort_keys=True)
    if len(detail) > MAX_DETAIL:
        detail = json.dumps({"outcome": act.outcome[:MAX_DETAIL], "cut": len(detail)}, ensure_ascii=False)
    entry = Entry(head.seq + 1, moment_text(at), act.actor, act.action, act.subject, detail, head.hash)
    return replace(entry, hash=hash_of(entry))


def moment_text(at: datetime) -> str:
    """A time as entries hash it: RFC 3339 in UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def hash_of(entry: Entry) -> str:
    """The hash that an entry must have."""
    fields = [entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.detail, entry.previous]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def checked(entries: Iterable[Entry], known: Iterable[Head] = ()) -> Iterator[Entry | str]:
    """Every entry that is in order, then, where something is wrong, what it is: one line, and nothing after it.

    Args:
        entries: the whole log from its first entry on.
        known: heads that were kept elsewhere.
    """
    wanted, head = {one.seq: one.hash for one in known}, Head()
    for entry in entries:
        if problem := _problem(head, entry, wanted.pop(entry.seq, entry.hash)):
            yield problem
            return
        head = entry.head
        yield entry
    if wanted:
        yield f"the log ends with entry {head.seq}, and entry {min(wanted)} was there once: its end was cut off"


def parse_head(text: str) -> Head:
    """The head that was written as `SEQ:HASH`.

    Raises:
        WrongUsage: it is none.
    """
    found = _HEAD.fullmatch(text)
    if found is None:
        raise WrongUsage(f"--head {text!r}: write SEQ:HASH as the coordinator's log has it, for example 42:9f2c…")
    return Head(int(found[1]), found[2])


def _problem(head: Head, entry: Entry, kept: str) -> str:
    if entry.seq != head.seq + 1:
        return f"entry {head.seq + 1} is missing: {entry.seq} follows {head.seq}"
    if entry.previous != head.hash:
        return f"entry {entry.seq} does not follow entry {head.seq}: one of them was put in or exchanged"
    if entry.hash != hash_of(entry):
        return f"entry {entry.seq} was changed: its content does not have its hash"
    if entry.hash != kept:
        return f"entry {entry.seq} is not the one that was there: the log was written anew"
    return ""
