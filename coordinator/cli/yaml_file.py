"""YAML files, read strictly: every complaint says the file and the line."""

import re
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from coordinator.errors import BadInput

MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class YamlFile:
    """What a file says, with its text and what it is called in complaints."""

    document: dict[str, Any]
    text: str
    where: str


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(file: Path, what: str, needs: str) -> YamlFile:
    """The mapping in a file; `-` is standard input.

    Args:
        file: which.
        what: what it should be, for complaints: `deployment`.
        needs: what such a document has at least.

    Raises:
        BadInput: what is wrong and at which line.
    """
    where = "standard input" if str(file) == "-" else str(file)
    text = _text(file, where, what)
    document = _document(text, where)
    if not isinstance(document, dict):
        raise BadInput(f"{where} is not a {what}: it needs {needs}")
    return YamlFile(document, text, where)


def with_line(complaint: str, file: YamlFile) -> str:
    """The complaint with the line of the first word in quotes that stands in the text as a key or value."""
    for place in re.findall(r"'([^']+)'", complaint):
        word = place.rpartition(".")[2]  # of pipelines[0].fps the last key
        pattern = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
        for number, line in enumerate(file.text.splitlines(), 1):
            if pattern.search(line.split(" #")[0]):
                return complaint.replace(file.where, f"{file.where}, line {number}", 1)
    return complaint


def _text(file: Path, where: str, what: str) -> str:
    try:
        with nullcontext(sys.stdin.buffer) if where == "standard input" else file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise BadInput(f"{where} has more than {MAX_BYTES} bytes: is it a {what}?")
        return content.decode()
    except OSError as error:
        raise BadInput(f"{where}: {error.strerror}: give a {what}'s YAML file, or - for standard input") from None
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not UTF-8 text") from None


def _document(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(f"{where}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2024-99-99, a number of 5000 digits
        raise BadInput(f"{where} is not YAML: {str(error).splitlines()[0]}") from None
