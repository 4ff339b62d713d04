"""Keeps a broker's rules as the coordinator's tables say: on every connect, and whenever something changed.

    control = AccessControl(load, client, own, topics)
    await control.run()         # for ever
    control.wake()              # somebody was renamed, revoked
    await control.settle()      # somebody was enrolled, and will come at once

Level-triggered: being woken means nothing but that it is time to look. The embedded broker is handed the table. A
Mosquitto is asked, over the coordinator's own connection, what its dynamic security plugin holds, and told what is
missing or too much (`dynamic_security.py`). Another broker does not answer: its rules are its administrator's affair.
"""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordinator.errors import Unreachable
from coordinator.link.access import AccessTable
from coordinator.link.broker import BrokerClient
from coordinator.link.dynamic_security import CONTROL, RESPONSE, Command, State, read_state, steps, wanted_state
from coordinator.link.own_broker import OwnBroker
from protos.topics import Topics

ANSWER_S = 10.0
RETRY_S = 5.0
FOREIGN_RETRY_S = 60.0
"""where no plugin has ever answered"""
SETTLE_S = 3.0
EVERY_S = 15.0
"""how often the table is looked at where nobody says that it changed"""
PAGE = 100
"""roles or clients in one answer: below 200 KB"""
BATCH = 25
"""commands in one message: the plugin writes its file after each, and the broker does nothing else meanwhile"""

Answer = Mapping[str, Any]

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """The broker has no plugin that answers, or not now."""


class AccessControl:
    """The rules of one broker.

    Args:
        load: the present table; called on a thread of its own.
        client: the coordinator's connection to the broker, not started yet.
        own: the broker, where it is the coordinator's own.
        topics: the topics of this fleet.
        manages: whether the broker's rules are the coordinator's to keep: it logs in there with its own certificate.
            At another broker a message to the plugin could be an offence.
        answer_s: how long to wait for the plugin.
    """

    def __init__(
        self,
        load: Callable[[], AccessTable],
        client: BrokerClient,
        own: OwnBroker | None,
        topics: Topics,
        *,
        manages: bool = True,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._load = load
        self._client = client
        self._own = own
        self._topics = topics
        has_plugin = manages and (own is None or own.kind == "managed")
        self._plugin = Plugin(client, answer_s) if has_plugin else None
        self._silent_until = 0.0
        self._due, self._idle = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._table: AccessTable | None = None
        self._said = ""
        client.when_connected(self._due.set)

    def wake(self) -> None:
        """The table may be another. Thread-safe."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._due.set)

    async def settle(self) -> None:
        """The table is another: return when the broker knows, or after some patience where it is away."""
        self._idle.clear()
        self._due.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._idle.wait()

    async def run(self) -> None:
        """Bring the rules about whenever it is time, for ever."""
        self._loop = asyncio.get_running_loop()
        self._due.set()
        while True:
            woken = await self._is_due()
            try:
                table = await asyncio.to_thread(self._load)
            except Unreachable as error:
                self._warn(f"{error}: the broker's access rules may be out of date")
                self._loop.call_later(RETRY_S, self._due.set)
                continue
            if woken or table != self._table:
                await self._bring_about(table)

    async def _is_due(self) -> bool:
        """Wait until it is time; whether somebody said so. Another process may change the tables and wake nobody."""
        if not self._due.is_set():
            self._idle.set()
        # not wait_for: in Python 3.11 it swallows a cancellation that comes together with the wake-up
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await self._due.wait()
        woken = self._due.is_set()
        self._due.clear()
        return woken

    async def _bring_about(self, table: AccessTable) -> None:
        self._table = table
        if self._own is not None:
            self._own.set_access(table)
        silent = asyncio.get_running_loop().time() < self._silent_until
        if self._plugin is not None and self._client.connected and not silent:
            await self._tell(self._plugin, table)

    async def _tell(self, plugin: "Plugin", table: AccessTable) -> None:
        try:
            await plugin.bring_about(wanted_state(table, self._topics))
        except NoAnswer as error:
            loop, foreign = asyncio.get_running_loop(), self._own is None and not plugin.answered
            self._warn(f"{error}: {'its access rules are its own' if foreign else 'trying again'}")
            delay = FOREIGN_RETRY_S if foreign else RETRY_S
            self._silent_until = loop.time() + delay if foreign else 0.0  # nobody is enrolled slower for it
            loop.call_later(delay, self._due.set)
        else:
            self._said = ""

    def _warn(self, line: str) -> None:
        """Once, however often it is tried again."""
        if line != self._said:
            log.warning("%s", line)
        self._said = line


class Plugin:
    """Mosquitto's dynamic security plugin, as it answers over the coordinator's connection."""

    def __init__(self, client: BrokerClient, answer_s: float) -> None:
        self._client = client
        self._answer_s = answer_s
        self._waiting: dict[str, asyncio.Future[list[Answer]]] = {}
        self.answered = False
        """Whether it ever has."""
        client.subscribe(RESPONSE, 1, self._on_response)

    async def bring_about(self, wanted: State) -> None:
        """Make its state the wanted one.

        Raises:
            NoAnswer: it does not answer, or refuses what it is told.
        """
        commands = steps(await self._state(), wanted)
        for start in range(0, len(commands), BATCH):
            await self._ask(commands[start : start + BATCH])
        if commands:
            log.info("the broker's access rules: %d changes", len(commands))

    async def _state(self) -> State:
        defaults = (await self._ask([{"command": "getDefaultACLAccess"}]))[0].get("data", {})
        held = read_state(await self._list("listRoles", "roles"), await self._list("listClients", "clients"))
        allowed = {str(acl.get("acltype")): acl.get("allow") is True for acl in defaults.get("acls", ())}
        return State(held.roles, held.clients, allowed)

    async def _list(self, command: str, kind: str) -> list[Answer]:
        found: list[Answer] = []
        while True:
            asked = {"command": command, "verbose": True, "count": PAGE, "offset": len(found)}
            data = (await self._ask([asked]))[0].get("data", {})
            page = data.get(kind, [])
            found += page
            if not page or len(found) >= data.get("totalCount", 0):
                return found

    async def _ask(self, commands: Sequence[Command]) -> Sequence[Answer]:
        token = secrets.token_hex(8)
        waiting = self._waiting[token] = asyncio.get_running_loop().create_future()
        message = {"commands": [{**command, "correlationData": token} for command in commands]}
        try:
            if not self._client.publish(CONTROL, json.dumps(message).encode(), qos=1, retain=False):
                raise NoAnswer("the broker is not connected")
            async with asyncio.timeout(self._answer_s):
                answers: list[Answer] = await waiting
        except TimeoutError:
            raise NoAnswer("the broker's dynamic security plugin does not answer") from None
        finally:
            del self._waiting[token]
        self.answered = True
        refused = [str(answer["error"]) for answer in answers if "error" in answer]
        if refused:
            raise NoAnswer(f"the broker's dynamic security plugin says {refused[0]!r}")
        return answers

    def _on_response(self, _topic: str, payload: bytes, _retained: bool) -> None:
        """On paho's thread."""
        answers = answers_in(payload)
        if answers:
            waiting = self._waiting.get(str(answers[0].get("correlationData")))
            if waiting is not None:
                waiting.get_loop().call_soon_threadsafe(_settle, waiting, answers)


def answers_in(payload: bytes) -> list[Answer]:
    """The plugin's answers in a message; none where it is not what it should be."""
    try:
        message = json.loads(payload)
    except ValueError:
        return []
    answers = message.get("responses") if isinstance(message, dict) else None
    return [answer for answer in answers if isinstance(answer, dict)] if isinstance(answers, list) else []


def _settle(waiting: "asyncio.Future[list[Answer]]", answers: list[Answer]) -> None:
    if not waiting.done():
        waiting.set_result(answers)
