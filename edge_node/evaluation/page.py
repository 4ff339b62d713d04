"""An evaluation as one HTML page with its plots: no script, nothing that it would load from elsewhere. Pure text."""

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil

from edge_node.evaluation.measures import Case, confusions
from protos.evaluation import Evaluation, VariantScore

COLUMNS = 24
"""of a histogram"""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2530 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } th { text-align: left; font-weight: 600 }
td, th { padding: .15rem .8rem .15rem 0 } td.n { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: #e6ebf1; width: 16rem } .bar i { display: block; background: #2f74c0; height: .8rem }
.bar i.low { background: #c0392b } .hist { display: flex; align-items: flex-end; height: 7rem; gap: 2px }
.hist i { flex: 1; background: #2f74c0; min-height: 1px } .axis { display: flex; justify-content: space-between }
small, .axis { color: #5b6b7c }
"""


def page(evaluation: Evaluation, cases: Sequence[Sequence[Case]]) -> str:
    """The page.

    Args:
        evaluation: what was found.
        cases: of each variant, in the same order.
    """
    title = f"{evaluation.dataset}: {evaluation.measure}"
    parts = [_overview(evaluation)]
    parts += [_variant(evaluation, score, found) for score, found in zip(evaluation.variants, cases, strict=True)]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p><small>{escape(evaluation.at)} · {escape(evaluation.machine)} · {escape(evaluation.dataset_digest)}"
        f"</small></p>{''.join(parts)}</html>\n"
    )


def _overview(evaluation: Evaluation) -> str:
    rows = (
        (
            _text(one.file),
            _bar(one.score, low=False),
            _number(f"{one.score:.4f}"),
            _number(str(one.samples)),
            *(_number(f"{value:.1f}") for value in (one.p50_ms, one.p95_ms, one.p99_ms)),
        )
        for one in evaluation.variants
    )
    return _table(("variant", evaluation.measure, "", "samples", "p50 ms", "p95 ms", "p99 ms"), rows)


def _variant(evaluation: Evaluation, score: VariantScore, cases: Sequence[Case]) -> str:
    parts = [f"<h2>{escape(score.file)} <small>{escape(score.engine)}</small></h2>"]
    if score.failed:
        parts.append(f"<p>{score.failed} samples got no answer, and count as wrong.</p>")
    parts.append("<h3>Latency</h3>" + _histogram([one.latency_ms for one in cases if not one.error], "ms"))
    if evaluation.measure == "accuracy":
        parts.append("<h3>Confidence</h3>" + _histogram([one.score for one in cases if not one.error], ""))
    if score.slices:
        rows = ((one.by, one.value, one.samples, one.score) for one in score.slices)
        parts.append("<h3>Slices</h3>" + _scores(("slice", "value"), rows, score.score))
    if score.classes:
        worst = sorted(score.classes, key=lambda one: one.value)
        classes = (
            (one.label, f"precision {one.precision:.3f}, recall {one.recall:.3f}", one.support, one.value)
            for one in worst
        )
        parts.append("<h3>Classes, the worst first</h3>" + _scores(("class", ""), classes, score.score))
    parts.append(_mistakes(cases) if evaluation.measure == "accuracy" else "")
    return "".join(parts)


def _scores(headings: tuple[str, str], rows: Iterable[tuple[str, str, int, float]], whole: float) -> str:
    """Red is what is more than a tenth worse than the whole."""
    cells = (
        (_text(name), _text(value), _number(str(count)), _bar(score, low=score < 0.9 * whole), _number(f"{score:.3f}"))
        for name, value, count, score in rows
    )
    return _table((*headings, "samples", "score", ""), cells)


def _mistakes(cases: Sequence[Case]) -> str:
    found = confusions(cases)
    if not found:
        return ""
    rows = ((_text(label), _text(answered), _number(str(count))) for label, answered, count in found)
    return "<h3>Most frequent mistakes</h3>" + _table(("is", "was called", "times"), rows)


def _histogram(values: Sequence[float], unit: str) -> str:
    if not values:
        return "<p>nothing was answered</p>"
    low, high = min(values), max(values)
    counts = [0] * COLUMNS
    for value in values:
        counts[min(COLUMNS - 1, int((value - low) / ((high - low) or 1.0) * COLUMNS))] += 1
    bars = "".join(f'<i style="height:{ceil(100 * count / max(counts))}%" title="{count}"></i>' for count in counts)
    ends = f"<span>{low:.3g} {unit}</span><span>{high:.3g} {unit}</span>"
    return f'<div class="hist">{bars}</div><div class="axis">{ends}</div>'


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str) -> str:
    return f'<td class="n">{escape(text)}</td>'


def _bar(share: float, *, low: bool) -> str:
    kind = ' class="low"' if low else ""
    return f'<td><div class="bar"><i{kind} style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></div></td>'
