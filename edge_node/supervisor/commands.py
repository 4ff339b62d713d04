"""Carrying out commands: each once, also across restarts, and answering. Which are accepted: `command.py`.

The nonce is on the disk (`commands.json`) before the command is carried out. What a verb may tell is what
`edge-node status` and the log tell on the device: no secrets, and nothing of what cameras see.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edge_node.errors import Refused
from edge_node.store.files import read_if_there, write_durably
from edge_node.supervisor.command import accept, remembered
from edge_node.telemetry.logs import recent
from protos.command import MAX_LINE, MAX_LINES, Command, Reply, Verb
from protos.identity import NodeId

LOG_LINES = 100
MAX_REPLY = 24 * 1024
"""Characters of all lines of a reply."""

log = logging.getLogger(__name__)

Lines = Callable[[Mapping[str, str]], Iterable[str]]
"""What a verb answers to its arguments."""


class Commands:
    """The commands of one node.

    Args:
        file: where nonces are kept.
        verbs: what each verb answers; may raise `Refused` of what is wrong with its arguments.
        now: the node's own clock.
    """

    def __init__(self, file: Path, verbs: Mapping[Verb, Lines], now: Callable[[], datetime]) -> None:
        self._file = file
        self._verbs = verbs
        self._now = now
        self._seen: dict[str, datetime] | None = None

    def answer(self, sealed: bytes, nonce: str, node: NodeId, trusted: frozenset[bytes]) -> Reply:
        """Carry out the command that came on the topic of a nonce.

        Raises:
            Refused: it is not believed; nobody is answered.
            OSError: its nonce cannot be kept; it was not carried out.
        """
        seen = self._load() if self._seen is None else self._seen
        command = accept(sealed, trusted, node, seen, self._now())
        if command.nonce != nonce:
            raise Refused(f"command {command.verb!r} came on the topic of another one")
        self._seen = remembered(seen, command, self._now())
        write_durably(self._file, msgspec.json.encode(self._seen), mode=0o600)
        log.info("command %s", command.verb)
        return self._carried_out(command)

    def _carried_out(self, command: Command) -> Reply:
        try:
            lines = self._verbs[Verb(command.verb)](command.arguments)
        except ValueError:
            known = ", ".join(self._verbs)
            return Reply(
                command.node, command.nonce, False, (f"this node has no command {command.verb!r:.40}: {known}",)
            )
        except Refused as error:
            return Reply(command.node, command.nonce, False, (f"{error!s:.{MAX_LINE}}",))
        return Reply(command.node, command.nonce, True, shortened(lines))

    def _load(self) -> dict[str, datetime]:
        content = read_if_there(self._file)
        if content is None:
            return {}
        try:
            return msgspec.json.decode(content, type=dict[str, datetime])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): forgetting which commands came before", self._file, error)
            return {}


def verbs_of(status: Callable[[], msgspec.Struct]) -> Mapping[Verb, Lines]:
    """What each verb answers on an agent with this status."""

    def logs(arguments: Mapping[str, str]) -> Iterable[str]:
        return list(recent.lines)[-count(arguments, LOG_LINES) :]

    def diagnostics(_: Mapping[str, str]) -> Iterable[str]:
        return flattened(msgspec.to_builtins(status()))

    return {Verb.LOGS: logs, Verb.DIAGNOSTICS: diagnostics}


def shortened(lines: Iterable[str]) -> tuple[str, ...]:
    """The newest lines that fit a reply, each cut where it is too long. Pure."""
    kept: list[str] = []
    room = MAX_REPLY
    for line in reversed([_printable(line) for line in lines][-MAX_LINES:]):
        room -= len(line.encode()) + 3
        if room < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))


def flattened(document: Any, path: str = "") -> Iterable[str]:
    """A document as lines `path: value`. Pure."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from flattened(value, f"{path}.{key}" if path else str(key))
    elif isinstance(document, list | tuple):
        for number, value in enumerate(document):
            yield from flattened(value, f"{path}[{number}]")
    elif document not in ("", None):
        yield f"{path}: {document}"


def count(arguments: Mapping[str, str], default: int) -> int:
    """How many lines are asked for. Pure.

    Raises:
        Refused: not a number from 1 to 200.
    """
    text = arguments.get("lines", str(default))
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MAX_LINES):
        raise Refused(f"lines {text!r:.20}: a number from 1 to {MAX_LINES}")
    return int(text)


def _printable(line: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in line)
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"
