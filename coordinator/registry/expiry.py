"""Which content is kept for nothing: pushed and never published, or begun and never gone on with. Pure."""

from collections.abc import Mapping
from typing import TypeVar

KEPT_S = 7 * 24 * 3600.0
"""A push may pause for so long before what it has brought is dropped."""

Key = TypeVar("Key")


def expired(ages: Mapping[Key, float]) -> tuple[Key, ...]:
    """What is older than a week; `ages` in seconds since its last byte was written."""
    return tuple(key for key, age in ages.items() if age > KEPT_S)
