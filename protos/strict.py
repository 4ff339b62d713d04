"""Strict reading of documents that people write: every complaint names the place and, for a typo, what was meant."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from protos.errors import ContractError
from protos.wording import in_words

T = TypeVar("T")

# How msgspec words its complaints; the path begins with `$` and has `.field` and `[0]` or `[...]` steps.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*?)`(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_NO_CHOICE = re.compile(r"Invalid enum value (?P<value>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_PLACE = re.compile(r"(?P<said>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<field>[^.\[]+)|\[(?P<item>[^\]]*)\]")
_ANY_KEY, _AT = "[...]", " - at `$"
_PLAIN = re.compile(r"[\w-]+")


def convert(document: object, kind: type[T], where: str) -> T:
    """The document as a struct of `kind`, whose fields forbid unknown ones.

    Args:
        document: what a TOML, YAML or JSON parser gave.
        kind: the struct type.
        where: the file or place, for the complaint.

    Raises:
        ContractError: what is wrong, where, and the nearest known key or value.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        complaint = _with_key(str(error), document, kind)
        raise ContractError(f"{where}: {_explained(complaint, kind)}") from None


def _explained(complaint: str, kind: type) -> str:
    if unknown := _UNKNOWN.fullmatch(complaint):
        known = _keys(_type_at(kind, unknown["path"] or ""))
        return f"unknown key {unknown['key']!r}{_in(unknown['path'])}; {_hint(unknown['key'], known, 'keys')}"
    if choice := _NO_CHOICE.fullmatch(complaint):
        value = choice["value"].strip("'")
        known = _choices(_type_at(kind, choice["path"] or ""))
        return f"unknown value {value!r}{_in(choice['path'])}; {_hint(value, known, 'values')}"
    place = _PLACE.fullmatch(complaint)
    assert place is not None  # it matches anything
    return in_words(place["said"], (place["path"] or "").lstrip("."))


def _with_key(complaint: str, document: Any, kind: type) -> str:
    """The complaint with the key where msgspec writes `[...]`: it does not say which entry of a table it is about."""
    said, at, path = complaint.rpartition(_AT)
    before, any_key, rest = path.partition(_ANY_KEY)
    if not at or not any_key:
        return complaint
    steps = list(_STEP.finditer(before))
    try:
        key = _culprit(complaint, document, kind, steps)
    except (LookupError, TypeError, ValueError):  # the path is none: it is part of a strange key
        return complaint
    return f"{said}{at}{before}.{key}{rest}" if _PLAIN.fullmatch(key) else complaint


def _culprit(complaint: str, document: Any, kind: type, steps: list["re.Match[str]"]) -> str:
    """The first key of the table at the end of the steps whose entry alone causes the complaint."""
    table = document
    for step in steps:
        table = table[step["field"] or int(step["item"])]
    for key in table:
        try:
            msgspec.convert(_with_only(document, steps, key), kind)
        except msgspec.ValidationError as error:
            if str(error) == complaint:
                return str(key)
    return ""


def _with_only(document: Any, steps: list["re.Match[str]"], key: object) -> Any:
    """The document with one entry alone in the table to which the steps lead."""
    if not steps:
        return {key: document[key]}
    first, rest = steps[0], steps[1:]
    if first["field"]:
        return {**document, first["field"]: _with_only(document[first["field"]], rest, key)}
    at = int(first["item"])
    return [*document[:at], _with_only(document[at], rest, key), *document[at + 1 :]]


def _in(path: str | None) -> str:
    return f" in {path.lstrip('.')}" if path else ""


def _hint(word: str, known: list[str], what: str) -> str:
    if not known:
        return f"see the reference for the {what} that are known"
    import difflib  # for complaints alone

    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known {what}: {', '.join(sorted(known))}"


def _type_at(kind: type, path: str) -> inspect.Type:
    """The type that stands at a path of a complaint."""
    found: inspect.Type = inspect.type_info(kind)
    for step in _STEP.finditer(path):
        found = _inside(found, step["field"])
    return found


def _inside(info: inspect.Type, field: str | None) -> inspect.Type:
    """The type of a struct's field, or of the items of a sequence or mapping where `field` is None."""
    for option in _options(info):
        if field is not None and isinstance(option, inspect.StructType):
            return next((known.type for known in option.fields if known.encode_name == field), inspect.AnyType())
        if field is None and isinstance(option, inspect.ListType | inspect.VarTupleType):
            return option.item_type
        if isinstance(option, inspect.DictType):
            return option.value_type
    return inspect.AnyType()


def _keys(info: inspect.Type) -> list[str]:
    structs: Iterable[Any] = (option for option in _options(info) if isinstance(option, inspect.StructType))
    return [field.encode_name for struct in structs for field in struct.fields]


def _choices(info: inspect.Type) -> list[str]:
    found: list[str] = []
    for option in _options(info):
        if isinstance(option, inspect.LiteralType):
            found.extend(map(str, option.values))
        elif isinstance(option, inspect.EnumType):
            found.extend(str(member.value) for member in option.cls)
    return found


def _options(info: inspect.Type) -> tuple[inspect.Type, ...]:
    return info.types if isinstance(info, inspect.UnionType) else (info,)
