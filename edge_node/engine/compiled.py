"""The compiled forms of models: which one a load may use, and reading it back unharmed.

A form is what an engine made of one file for one rung, version, processor and number of threads; anything else has
another key. It is made and kept by `edge_node.worker.forms`; here is what both sides must agree on.
"""

from pathlib import Path

import msgspec

from edge_node.rungs import Rung

COMPILING = frozenset({"openvino"})
"""The engines whose sessions can be `exported`: measured, the others gain too little (docs/reference/engines.md)."""


class Job(msgspec.Struct, frozen=True):
    """What to compile: a model file, for a rung and a number of threads."""

    model: str
    rung: Rung
    threads: int


def form_key(model: str, rung: Rung, version: str, processor: str, threads: int) -> str:
    """The key of a form, in hexadecimal.

    Args:
        model: SHA-256 of the model file.
        rung: what it runs on, with its options.
        version: of the engine.
        processor: its model and features in words.
        threads: of one inference.
    """
    import hashlib  # here: a worker without forms needs none of it

    parts = msgspec.json.encode([model, rung, version, processor, threads], order="sorted")
    return hashlib.sha256(parts).hexdigest()


def read_form(path: Path, digest: str) -> bytes | None:
    """The bytes of a form, hashed as they are used; None where they are gone or not those of the digest (SHA-256)."""
    import hashlib

    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == digest else None
