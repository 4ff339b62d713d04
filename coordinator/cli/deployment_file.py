"""A deployment's YAML file, read strictly: every complaint says the file, the line and, for a typo, the nearest key."""

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from coordinator.errors import BadInput
from protos.deployment import parse_deployment
from protos.errors import ContractError

MAX_BYTES = 256 * 1024


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


def read_deployment_file(file: Path) -> dict[str, Any]:
    """The specification as a plain document, after it has been checked.

    Raises:
        BadInput: what is wrong and at which line.
    """
    where = "standard input" if str(file) == "-" else str(file)
    text = _text(file, where)
    document = _document(text, where)
    try:
        parse_deployment(document, where)
    except ContractError as error:
        raise BadInput(_with_line(str(error), text, where)) from None
    return document


def _text(file: Path, where: str) -> str:
    try:
        with nullcontext(sys.stdin.buffer) if where == "standard input" else file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise BadInput(f"{where} has more than {MAX_BYTES} bytes: is it a deployment?")
        return content.decode()
    except OSError as error:
        raise BadInput(f"{where}: {error.strerror}: give a deployment's YAML file, or - for standard input") from None
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not UTF-8 text") from None


def _document(text: str, where: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(f"{where}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2024-99-99, a number of 5000 digits
        raise BadInput(f"{where} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{where} is not a deployment: it needs name, selector, model and pipelines")
    return document


def _with_line(complaint: str, text: str, where: str) -> str:
    """The complaint with the line of the first word in quotes that stands in the text as a key or value."""
    for place in re.findall(r"'([^']+)'", complaint):
        word = place.rpartition(".")[2]  # of pipelines[0].fps the last key
        pattern = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line.split(" #")[0]):
                return complaint.replace(where, f"{where}, line {number}", 1)
    return complaint
