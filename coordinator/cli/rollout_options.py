"""A rollout's specification on a command line: `--file`, and an option for every key of such a file.

    @app.command("plan")
    @with_rollout_options
    def plan(document: Document) -> None: ...

An option wins over the same key of the file. What the values mean is `coordinator.rollouts.spec_file`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from coordinator.cli.documents import Document
from coordinator.cli.yaml_file import YamlFile, read_yaml, with_line
from coordinator.errors import BadInput, WrongUsage
from coordinator.rollouts.spec_file import parse_spec

Share = "a share of the nodes, 5%, or a number of them"
TEXT: dict[str, str] = {
    "to": "MODEL@VERSION to move to.",
    "canary": f"The first wave: {Share}.",
    "waves": "Cumulative shares with commas: 25%,100%.",
    "max_parallel": f"Nodes in flight at once: {Share} (default 10%).",
    "shadow": "How long the new version runs beside the current one first: 10m.",
    "shadow_share": "Of the frames, 25%.",
    "min_healthy": "How long a node must serve without a fault (default 10s).",
    "healthy_deadline": "A node that is not healthy by then has failed (default 5m, or 4 times --min-healthy).",
    "progress_deadline": "Without a healthy node for so long the rollout fails (default 1h).",
    "shifts": "day=06:00-22:00,night=22:00-06:00.",
    "max_failures": f"Nodes that may fail: {Share} (default 0).",
    "per_group": "LABEL=N with commas: nodes of equal label in flight at once.",
}
LISTS: dict[str, str] = {
    "gate": "A condition, p95_ms<=50; may be repeated.",
    "slice": "Ask gates by pipeline, shift, site or a label as well; may be repeated.",
    "window": "When nodes may start, in their own time: 'sat,sun 22:00-06:00'; may be repeated.",
}
NUMBERS: dict[str, tuple[type, str]] = {
    "shadow_cpu": (float, "Of one core, for the shadow (default 0.5)."),
    "min_samples": (int, "A gate decides nothing on fewer (default 100)."),
    "per_site": (int, "Nodes of one site in flight at once; 0: no limit."),
    "priority": (int, "The higher goes first where two rollouts want the same nodes."),
    "max_error_rate": (float, "A node goes back by itself beyond it."),
    "max_p95_ms": (float, "A node goes back by itself beyond it."),
    "max_memory_mb": (float, "A node goes back by itself beyond it."),
    "max_restarts": (int, "A node goes back by itself beyond so many deaths of its worker (default 1)."),
}
FLAGS: dict[str, str] = {
    "auto_promote": "The next wave begins by itself.",
    "auto_revert": "What fails is reverted by itself.",
    "approval": "An admin has to promote it before it begins.",
}


def with_rollout_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with DEPLOYMENT, `--file` and the options in place of its parameter `document`, which is made of
    them.
    """
    own = [one for name, one in inspect.signature(command).parameters.items() if name != "document"]
    hints = {name: hint for name, hint in get_type_hints(command, include_extras=True).items() if name != "document"}
    options = _parameters()

    @wraps(command)
    def called(**given: Any) -> None:
        values = {one.name: given.pop(one.name) for one in options}
        command(**given, document=rollout_document(values.pop("deployment"), values.pop("file"), values))

    called.__signature__ = inspect.Signature([*options[:1], *own, *options[1:]])  # type: ignore[attr-defined]  # read by typer
    called.__annotations__ = {**hints, **{one.name: one.annotation for one in options}}
    return called


def rollout_document(deployment: str | None, file: Path | None, options: Mapping[str, Any]) -> Document:
    """The specification as a document, after it has been checked.

    Raises:
        WrongUsage: it does not say of what or where to, or an option's value is none.
        BadInput: what is wrong with a file, and at which line.
    """
    found = YamlFile({}, "", "options") if file is None else read_yaml(file, "rollout", "deployment and to")
    document = found.document | {_KEYS.get(key, key): value for key, value in options.items() if _is_given(value)}
    if deployment is not None:
        document["deployment"] = deployment
    for key, how in (("deployment", "name it, or give --file"), ("to", "give --to MODEL@VERSION, or --file")):
        if key not in document:
            raise WrongUsage(f"which {'deployment' if key == 'deployment' else 'version'}? {how}")
    try:
        parse_spec(document, found.where)
    except BadInput as error:
        kind = WrongUsage if file is None else BadInput
        raise kind(with_line(str(error), found)) from None
    return document


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value not in ("", [])


_KEYS = {"gate": "gates", "slice": "slices", "window": "windows"}


def _parameters() -> list[inspect.Parameter]:
    of = Annotated[str | None, typer.Argument(metavar="DEPLOYMENT", help="May stand in --file.")]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    deployment = inspect.Parameter("deployment", kind, default=None, annotation=of)
    file = _option(
        "file",
        Path | None,
        None,
        "YAML: the options below are its keys, with _ for -, and gates, slices, windows for what may be repeated.",
    )
    texts = [_option(name, str, "", text) for name, text in TEXT.items()]
    lists = [_option(name, list[str] | None, None, text) for name, text in LISTS.items()]
    numbers = [_option(name, kind | None, None, text) for name, (kind, text) in NUMBERS.items()]
    flags = [_option(name, bool, False, text) for name, text in FLAGS.items()]
    return [deployment, file, *texts, *lists, *numbers, *flags]


def _option(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    annotation = Annotated[kind, typer.Option(f"--{name.replace('_', '-')}", help=text, show_default=False)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
