"""The reference pages say what the code does: every key with its default, every option."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from protos.bundle import Golden, Input, Manifest, Output, Slo, Variant, parse_manifest

PAGES = Path(__file__).parents[3] / "docs" / "reference"
ROW = re.compile(r"^\| `([a-z_0-9]+)` \| ([^|]+) \|", re.MULTILINE)
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Top level": Manifest,
    "`[[variants]]`": Variant,
    "`[[inputs]]`": Input,
    "`[[outputs]]`": Output,
    "`[golden]`": Golden,
    "`[slo]`": Slo,
}
OPTION = re.compile(r"(?<![\w-])-{1,2}[a-z0-9][a-z0-9-]*")


def section(page: str, heading: str) -> str:
    return (PAGES / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_a_manifest_is_documented_with_its_default(heading: str) -> None:
    fields = msgspec.structs.fields(SECTIONS[heading])
    assert dict(ROW.findall(section("bundle.md", heading))) == {field.encode_name: default(field) for field in fields}


def default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is None:
        return "none"
    value = msgspec.to_builtins(field.default)
    return f"`{msgspec.json.encode(value).decode()}`"


def test_the_example_is_a_manifest() -> None:
    text = (PAGES / "bundle.md").read_text()
    assert parse_manifest(text.split("```toml\n")[1].split("```")[0]).name == "mobilenet-v2"


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name, parser
    for action in inner:
        for word, child in action.choices.items():
            yield from commands(child, f"{name} {word}".strip())


def test_every_option_of_the_offline_commands_is_documented() -> None:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for command in ("infer", "bench", "doctor", "bundle"):
        importlib.import_module(f"edge_node.cli.{command}").register(subparsers)
    page = (PAGES / "node-commands.md").read_text()
    parts = {part.split("`")[1]: part for part in page.split("\n## ")[1:]}
    shared = set(OPTION.findall(parts["edge-node infer MODEL --input I…"].split("### ")[1]))
    of_init = set(OPTION.findall(parts["edge-node bundle init --name N FILE… -o DIR"]))
    for name, command_parser in commands(parser):
        part = next(text for heading, text in parts.items() if heading.startswith(f"edge-node {name}"))
        documented = set(OPTION.findall(part)) | shared | (of_init if "bundle" in name else set())
        options = {option for action in command_parser._actions for option in action.option_strings}
        assert options - {"-h", "--help"} - documented == set(), name
        assert set(OPTION.findall(re.sub(r"```.*?```", "", part, flags=re.DOTALL))) - options == set(), name
