"""What msgspec complains of, in the words of people who write TOML and YAML. Pure.

Source of its sentences: msgspec 0.22, `_core.c` (`ms_validation_error` and its callers). A sentence that is not
known here stays as it is.
"""

import re

_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`(?P<more>.*)")
_GOT = re.compile(r", got `(?P<got>[^`]+)`")
_LENGTH = re.compile(r" of length (?P<sign><=|>=|==) (?P<bound>\d+)")
_BOUND = re.compile(r" (?P<sign><=|>=|<|>) (?P<bound>\S+)")
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]+)`")

_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_LIMITS = {"<=": "at most", ">=": "at least", "==": "exactly", "<": "below", ">": "above"}


def in_words(complaint: str, place: str) -> str:
    """The complaint about what stands at a place; the empty place is the document itself.

    >>> in_words("Expected `float | null`, got `str`", "pipelines[0].fps")
    "'pipelines[0].fps' must be a number, not text"
    """
    if missing := _MISSING.fullmatch(complaint):
        return f"the key {missing['key']!r} is missing{f' in {place}' if place else ''}"
    subject = repr(place) if place else "the document"
    said = _EXPECTED.fullmatch(complaint)
    demand = said and _demand(said["wanted"], said["more"])
    if demand:
        return f"{subject} must {demand}"
    return f"{complaint} at {place!r}" if place else complaint


def _demand(wanted: str, more: str) -> str | None:
    if got := _GOT.fullmatch(more):
        return f"be {_kinds(wanted)}, not {_kinds(got['got'])}"
    if length := _LENGTH.fullmatch(more):
        what = "characters" if wanted.startswith("str") else "entries"
        return f"have {_LIMITS[length['sign']]} {length['bound']} {what}"
    if bound := _BOUND.fullmatch(more):
        return f"be {_LIMITS[bound['sign']]} {bound['bound'].removesuffix('.0')}"
    return None


def _kinds(types: str) -> str:
    """`float | null` as `a number`: a key that may be absent is left out instead of being nothing."""
    names = types.split(" | ")
    given = [name for name in names if name != "null"] or names
    return " or ".join(_KINDS.get(name, name) for name in given)
