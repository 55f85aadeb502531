"""What the negative control wins, in words: scores that a method gains by strength alone (s2g/guidance/rivals/tdg.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from s2g.engine.bench import Metric
from s2g.report.methods_table import Results, against_of, delta_at_equal_strength, estimate_of, metrics_of
from s2g.report.number_text import leaves_out_zero, with_interval

CONTROL = "tdg"
BUILT = "is built to win by strength alone"
Deltas = Mapping[str, Any]  # metric -> value, low, high


def control_paragraph(results: Results) -> str:
    """Return what the control wins and loses against CFG at its preset and at equal strength; "" where no row is one.

    Counted are scores of which one direction is better, and differences whose interval leaves out 0, without correction for
    the number of scores. A difference that rounds to 0 at the digits its score is shown with is none.
    """
    row = next((row for row in results["rows"] if row["guidance"] == CONTROL and row["delta"] is not None), None)
    if row is None:
        return ""
    against, equal = against_of(results), delta_at_equal_strength(row)
    scored = [metric for metric in metrics_of(results) if metric.higher is not None and metric.name in row["delta"]]
    if all(row["delta"][metric.name]["low"] is None for metric in scored):
        return (
            f"{row['label']} is built to win by strength alone. There are too few items for intervals, so nothing is decided."
        )
    said = [f"{row['label']} is built to win by strength alone{_strengths(row, against)}."]
    won, lost = (_decided(row["delta"], scored, better) for better in (True, False))
    said.append(f"Against {against['label']} at its preset it {_tally(won, lost, row['delta'], scored)}.")
    if equal is None:
        said.append(f"It has no effective scale, so that no {against['label']} of equal strength stands beside it.")
        return " ".join(said)
    still, worse = (_decided(equal, scored, better) for better in (True, False))
    said.append(f"Against {against['label']} of equal strength it {_tally(still, worse, equal, scored)}.")
    said += _verdict(won, still, against["label"])
    return " ".join(said)


def _strengths(row: Mapping[str, Any], against: Mapping[str, Any]) -> str:
    """Return both effective scales, in words; "" if one has none."""
    scales = [one["effective_scale"].get("value") for one in (row, against)]
    if None in scales:
        return ""
    return f": its effective scale is {scales[0]:.2f}, that of {against['label']} at its preset {scales[1]:.2f}"


def _decided(deltas: Deltas, metrics: Sequence[Metric], better: bool) -> list[Metric]:
    """Return the metrics in which a row is better (or worse) by an interval that leaves out 0 and a difference one can see."""
    found = []
    for metric in metrics:
        delta = estimate_of(deltas[metric.name])
        if leaves_out_zero(delta) and round(delta.value, metric.digits) != 0 and (delta.value > 0) == (metric.higher is better):
            found.append(metric)
    return found


def _tally(won: Sequence[Metric], lost: Sequence[Metric], deltas: Deltas, scored: Sequence[Metric]) -> str:
    """Return "wins 2 of 11 scores (a +1.0±0.5, b +2±1) and loses none; 9 are undecided"."""
    equal = [metric for metric in scored if _equal(deltas, metric)]
    counts = {"the same to the digits shown": len(equal), "undecided": len(scored) - len(won) - len(lost) - len(equal)}
    said = f"wins {len(won) or 'none'} of {len(scored)} scores{_listed(won, deltas)} and loses {len(lost) or 'none'}"
    rest = [f"{n} {'is' if n == 1 else 'are'} {word}" for word, n in counts.items() if n]
    return "; ".join([f"{said}{_listed(lost, deltas)}", *rest])


def _equal(deltas: Deltas, metric: Metric) -> bool:
    ends = (deltas[metric.name][name] for name in ("value", "low", "high"))
    return all(end is not None and round(end, metric.digits) == 0 for end in ends)


def _listed(metrics: Sequence[Metric], deltas: Deltas) -> str:
    shown = (f"{m.label} {with_interval(estimate_of(deltas[m.name]), m.digits, sign=True)}" for m in metrics)
    return f" ({', '.join(shown)})" if metrics else ""


def _verdict(won: Sequence[Metric], still: Sequence[Metric], against: str) -> Iterator[str]:
    """Yield what the wins at the preset say once they are looked at at equal strength."""
    gone = [metric.label for metric in won if metric not in still]
    kept = [metric.label for metric in won if metric in still]
    if gone:
        score = "that score" if len(gone) == 1 else "those scores"
        yield (
            f"What it wins in {_and(gone)} is not seen at equal strength: to be better than {against} at its preset in {score} "
            "can come of the scale alone."
        )
    if kept:
        yield f"What it wins in {_and(kept)} remains at equal strength: the scale alone does not explain it."


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
