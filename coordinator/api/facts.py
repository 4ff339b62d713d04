"""What a coordinator that runs can say of itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class CoordinatorFacts:
    """Fixed once it runs. `trusted_keys` are raw 32-byte Ed25519 public keys."""

    version: str
    broker_url: str
    broker_kind: Literal["managed", "embedded", "external"]
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    started_at: datetime


@dataclass(frozen=True)
class BrokerLink:
    """The coordinator's own connection to the broker; `state` says in one line why there is none. `live_relayed` and
    `live_dropped` count live results since it started.
    """

    connected: bool
    state: str
    live_relayed: int = 0
    live_dropped: int = 0
