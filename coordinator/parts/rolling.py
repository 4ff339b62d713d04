"""Whoever acts on rollouts, put together; several coordinator processes on one database run one each."""

import os
import secrets
from collections.abc import Callable
from datetime import datetime

from coordinator.link.addresses import machine_name
from coordinator.rollouts.controller import RolloutController
from coordinator.rollouts.enacting import Store
from coordinator.rollouts.labelled import Truths
from coordinator.rollouts.rounds import Rounds
from protos.topics import Topics


def rollout_controller(store: Store, topics: Topics, now: Callable[[], datetime], truths: Truths) -> RolloutController:
    """The controller of this process. The holder's name is like no other process', its own successor's neither."""
    holder = f"{machine_name()} {os.getpid()} {secrets.token_hex(4)}"
    return RolloutController(Rounds(store, topics, now, holder, truths), now)
