"""What is said of the negative control, for every outcome its numbers can have."""

from __future__ import annotations

from typing import Any

import pytest

from s2g.report.control import control_paragraph
from s2g.report.methods_table import methods_table, metrics_of, short_table

MADE = {"bench": "shapes"}
SCORED = [metric.name for metric in metrics_of({"made": MADE, "rows": []}) if metric.higher is not None]
OPEN = {"value": 0.3, "low": -1.0, "high": 1.6}
SAME = {"value": 0.001, "low": 0.0005, "high": 0.0015}  # leaves out 0, but is 0.0 as it is shown
UP, DOWN = {"value": 3.0, "low": 2.0, "high": 4.0}, {"value": -3.0, "low": -4.0, "high": -2.0}
NOT_KNOWN = {"value": 3.0, "low": None, "high": None}
REST = len(SCORED) - 2


def row(name: str, delta: dict[str, Any] | None, equal: dict[str, Any] | None, scale: float | None) -> dict[str, Any]:
    """A row whose differences are OPEN where none is given; equal: to CFG at its effective scale, None: not stored."""

    def all_of(given: dict[str, Any]) -> dict[str, Any]:
        return {metric.name: given.get(metric.name, given.get("", OPEN)) for metric in metrics_of({"made": MADE, "rows": []})}

    effective = {"evaluations": 28.0, "left_out": 28.0}
    if scale is not None:
        effective |= {"value": scale, "low": scale, "high": scale, "left_out": 0.0}
    found = {"row": name, "label": name.upper(), "guidance": name, "knobs": {}, "sampler": {}, "values": all_of({"": UP})}
    found |= {"effective_scale": effective, "evaluations": 56.0, "flops_per_item": 2.0}
    found["delta"] = None if delta is None else all_of(delta)
    if equal is not None:
        found["cfg_at_effective_scale"] = {"scale": scale, "delta": all_of(equal)}
    return found


def said_of(delta: dict[str, Any], equal: dict[str, Any] | None, scale: float | None = 3.05) -> str:
    return control_paragraph({"made": MADE, "rows": [row("cfg", None, None, 1.75), row("tdg", delta, equal, scale)]})


def test_no_paragraph_without_the_control() -> None:
    assert control_paragraph({"made": MADE, "rows": [row("cfg", None, None, 1.75), row("s2", {}, {}, 2.0)]}) == ""


def test_a_win_that_is_strength() -> None:
    """More is better in `joint`, less in `fd`; at equal strength nothing differs."""
    said = said_of({"joint": UP, "fd": UP}, {"": SAME})
    assert "its effective scale is 3.05, that of CFG at its preset 1.75" in said
    assert f"at its preset it wins 1 of {len(SCORED)} scores (all right % +3.0±1.0) and loses 1 (probe FD +3.0±1.0)" in said
    assert f"{REST} are undecided" in said
    assert f"equal strength it wins none of {len(SCORED)} scores and loses none; {len(SCORED)} are the same to the" in said
    assert "What it wins in all right % is not seen at equal strength" in said and "remains" not in said


def test_a_win_that_remains_is_not_called_strength() -> None:
    said = said_of({"joint": UP, "fd": DOWN}, {"fd": DOWN})
    assert f"wins 2 of {len(SCORED)} scores (all right % +3.0±1.0, probe FD -3.0±1.0) and loses none" in said
    assert "What it wins in all right % is not seen at equal strength" in said
    assert "What it wins in probe FD remains at equal strength" in said


def test_nothing_won_is_said_without_a_verdict() -> None:
    said = said_of({"joint": DOWN}, {"joint": DOWN})
    assert f"wins none of {len(SCORED)} scores and loses 1 (all right % -3.0±1.0)" in said
    assert "What it wins" not in said


def test_a_win_at_equal_strength_alone_is_told() -> None:
    said = said_of({}, {"pis": UP})
    assert f"equal strength it wins 1 of {len(SCORED)} scores (probe IS +3.0±1.0)" in said and "What it wins" not in said


def test_metrics_of_no_direction_are_not_counted() -> None:
    assert "contrast" not in SCORED and "diversity" not in SCORED
    assert f"wins none of {len(SCORED)} scores and loses none" in said_of({"contrast": UP, "diversity": UP}, {})


def test_without_intervals_or_without_a_scale_it_says_so() -> None:
    assert "too few items for intervals" in said_of({"": NOT_KNOWN}, {"": NOT_KNOWN})
    said = said_of({"joint": UP}, None, None)
    assert "It has no effective scale" in said and "its effective scale is" not in said and "What it wins" not in said


@pytest.mark.parametrize(
    ("equal", "scale", "shown"), [({"fd": DOWN}, 2.0, "-3.0±1.0"), (None, 1.75, "+3.0±1.0"), (None, None, "no scale")]
)
def test_each_row_stands_beside_cfg_of_equal_strength_or_says_why_not(
    equal: dict[str, Any] | None, scale: float | None, shown: str
) -> None:
    """Older results leave out that CFG where it is the compared row: the difference to it is the one to that row."""
    table = methods_table({"made": MADE, "rows": [row("cfg", None, None, 1.75), row("s2", {"fd": UP}, equal, scale)]})
    at = [column.label for column in table.columns].index("Δ probe FD, equal strength")
    assert (table.rows[0].cells[at].text, table.rows[1].cells[at].text) == ("", shown)
    short = short_table(table)
    assert [column.label for column in short.columns] == [
        "all right % ↑", "probe FD ↓", "Δ probe FD", "Δ equal strength", "eff. scale", "FLOPs",
    ]  # fmt: skip
    assert short.rows[1].cells[3].text == shown


def test_a_scale_of_part_of_the_evaluations_says_so() -> None:
    half = row("sgg", {}, {}, 2.0)
    half["effective_scale"]["left_out"] = 14.0
    table = methods_table({"made": MADE, "rows": [row("cfg", None, None, 1.75), half]})
    assert [line.cells[-3].text for line in table.rows] == ["1.75", "2.00 (14/28)"]
