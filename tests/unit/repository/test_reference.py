"""docs/reference/serving.md names every option of `edge-node serve`, and no other."""

import argparse
import re
from pathlib import Path

from edge_node.cli import serve

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "serving.md").read_text(encoding="utf-8")


def test_every_option_of_serve_is_documented_and_no_other() -> None:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    serve.register(subparsers)
    options = {option for action in subparsers.choices["serve"]._actions for option in action.option_strings}
    section = PAGE.partition("## `edge-node serve`")[2].partition("\n## ")[0]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section)) == options - {"-h", "--help"}
