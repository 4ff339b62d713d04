"""What is wrong with captured sources, from what their captures say: `failed: …`, `lost: …`, `ended`. Pure.

Trouble lasts until frames come again: a capture that begins another attempt says `starting` or `connecting` first.
The seconds until that attempt are left out, so that a source that stays away is said once.
"""

import re
from collections.abc import Mapping

ENDED = "ended"

_UNTIL_NEXT = re.compile(r"; (?:retrying|starting again) in [0-9.]+ s$")


def troubles_after(before: Mapping[str, str], states: Mapping[str, str]) -> dict[str, str]:
    """The troubles by source, given those of a moment ago and what the captures say now."""
    found = {name: _trouble(before.get(name), state) for name, state in states.items()}
    return {name: trouble for name, trouble in found.items() if trouble is not None}


def trouble_text(source: str, trouble: str) -> str:
    """The trouble in words, for people."""
    return f"source {source!r} has ended" if trouble == ENDED else f"source {source!r}: {trouble}"


def unusable(troubles: Mapping[str, str]) -> frozenset[str]:
    """The sources that give no frame and are not expected to: what is lost comes back, what has ended gave its own."""
    return frozenset(name for name, trouble in troubles.items() if trouble.startswith("failed"))


def _trouble(before: str | None, state: str) -> str | None:
    if state == ENDED or state.startswith(("failed", "lost")):
        return _UNTIL_NEXT.sub("", state)
    return before if state in ("starting", "connecting") else None
