"""The nouns of `edgectl`, a file each. Only what a command line names is imported: most of a command's time is that."""

from collections.abc import Iterable, Sequence
from importlib import import_module

import typer

NOUNS = ("model", "deployment", "rollout", "node", "credential", "broker", "key", "trust", "results", "audit")
VERBS = ("status", "demo", "sim")
ALL = (*NOUNS, *VERBS)


def named_by(arguments: Sequence[str], leading: Iterable[str]) -> tuple[str, ...]:
    """What a command line is about, behind `leading` options and their values; all where it does not say at once."""
    options, rest = tuple(leading), list(arguments)
    while rest and rest[0].partition("=")[0] in options:
        del rest[: 1 if "=" in rest[0] else 2]
    return (rest[0],) if rest and rest[0] in ALL else ALL


def mount(app: typer.Typer, names: Iterable[str]) -> None:
    """Add nouns and verbs to a program."""
    for name in names:
        module = import_module(f"coordinator.cli.{name}")
        if name in VERBS:
            app.command(name)(getattr(module, name))
        else:
            app.add_typer(module.app, name=name)
