"""A worker stays small: modules that cost megabytes and that it does not need stay out of it."""

import subprocess
import sys

HEAVY = ("asyncio", "difflib", "hashlib", "importlib.metadata", "numpy.random")
"""Half a megabyte to two each; measured for docs/performance.md."""


def test_a_worker_that_prepares_images_imports_nothing_heavy() -> None:
    code = (
        "import sys, edge_node.worker.process, edge_node.pipeline.preprocess\n"
        "from edge_node.pipeline.runner import noise\n"
        "noise(4, 4)\n"
        f"print(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_commands_of_the_command_line_register_without_asyncio() -> None:
    """It would be a tenth of the time that `edge-node infer` takes to its first answer."""
    code = (
        "import importlib, sys\n"
        "from edge_node.cli import COMMANDS\n"
        "[importlib.import_module(f'edge_node.cli.{name}') for name in COMMANDS]\n"
        "print('asyncio' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]
