"""Label selectors: the grammar and the meaning of Kubernetes' `labels.Parse`.

    site = store-12, tier != test, camera in (left, right), zone notin (dark), gpu, !retired

Requirements are joined by commas, and all must hold. `!=` and `notin` hold also where the key is absent. The empty
selector selects everything. Source of the grammar: k8s.io/apimachinery/pkg/labels/selector.go (without its numeric
`<` and `>`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from coordinator.errors import BadInput

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|[^\s=!,()]+)")
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?:(?P<domain>{_DOMAIN})/)?{_PART}")
_VALUE = re.compile(rf"(?:{_PART})?")
_SPECIAL = frozenset({"=", "==", "!=", "!", ",", "(", ")"})
_MAX_DOMAIN = 253
_MAX_LENGTH = 4096
_EXAMPLE = "write for example site=store-12,camera in (left,right),!retired"


class Operator(StrEnum):
    """What a requirement asks of a label."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"


@dataclass(frozen=True)
class Requirement:
    """One condition; `=` is `in` with one value, `!=` is `notin` with one value."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it."""
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.ABSENT:
                return self.key not in labels


@dataclass(frozen=True)
class Selector:
    """Requirements that must all hold."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a thing with these labels is selected."""
        return all(requirement.holds(labels) for requirement in self.requirements)


@lru_cache(maxsize=1024)
def parse_selector(text: str) -> Selector:
    """The selector that the text states.

    Raises:
        BadInput: what is wrong, and at which place.
    """
    if len(text) > _MAX_LENGTH:
        raise BadInput(f"a selector of {len(text)} characters; at most {_MAX_LENGTH} are read: use a label")
    reader = _Reader(text, _TOKEN.findall(text) if text.strip() else [])
    if not reader.tokens:
        return Selector()
    requirements = [_requirement(reader)]
    while reader.take(","):
        requirements.append(_requirement(reader))
    if reader.peek() is not None:
        raise reader.complaint("',' or the end")
    return Selector(tuple(requirements))


def check_label(key: str, value: str) -> None:
    """A label that a selector can name.

    Raises:
        BadInput: the key or the value breaks the grammar.
    """
    _checked_key(key, "label")
    if _VALUE.fullmatch(value) is None:
        raise BadInput(f"label {key}: {value!r} is not a value: use up to 63 of A-Z, a-z, 0-9, '-', '_', '.'")


@dataclass
class _Reader:
    text: str
    tokens: list[str]
    position: int = field(default=0)

    def peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.position += 1
        return True

    def word(self, expected: str) -> str:
        token = self.peek()
        if token is None or token in _SPECIAL:
            raise self.complaint(expected)
        self.position += 1
        return token

    def complaint(self, expected: str) -> BadInput:
        found = self.peek()
        place = "at the end" if found is None else f"before {found!r}"
        return BadInput(f"selector {self.text!r}: expected {expected} {place}; {_EXAMPLE}")


def _requirement(reader: _Reader) -> Requirement:
    if reader.take("!"):
        return Requirement(_key(reader), Operator.ABSENT)
    key = _key(reader)
    following = reader.peek()
    if following in ("=", "==", "!="):
        reader.position += 1
        value = _value(reader)
        return Requirement(key, Operator.NOT_IN if following == "!=" else Operator.IN, frozenset({value}))
    if following in ("in", "notin"):
        reader.position += 1
        return Requirement(key, Operator(following), _value_set(reader))
    return Requirement(key, Operator.EXISTS)


def _key(reader: _Reader) -> str:
    return _checked_key(reader.word("a label's key"), f"selector {reader.text!r}")


def _checked_key(key: str, where: str) -> str:
    match = _KEY.fullmatch(key)
    if match is None or len(match["domain"] or "") > _MAX_DOMAIN:
        raise BadInput(f"{where}: {key!r} is not a label's key: use [domain/]name with A-Z, a-z, 0-9, '-', '_', '.'")
    return key


def _value(reader: _Reader) -> str:
    """A value; nothing before a comma, a bracket or the end is the empty value."""
    if reader.peek() in (None, ",", ")"):
        return ""
    value = reader.word("a value")
    if _VALUE.fullmatch(value) is None:
        raise BadInput(f"selector {reader.text!r}: {value!r} is not a label's value")
    return value


def _value_set(reader: _Reader) -> frozenset[str]:
    if not reader.take("("):
        raise reader.complaint("'('")
    values = {_value(reader)}
    while reader.take(","):
        values.add(_value(reader))
    if not reader.take(")"):
        raise reader.complaint("',' or ')'")
    return frozenset(values)
