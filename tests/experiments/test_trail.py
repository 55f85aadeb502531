"""The trail of committed numbers: what it holds, and what a second run of the same items is compared by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2g.cli.main import app
from s2g.errors import UserError
from s2g.experiments.trail import Compared, compare_trails, items_of, kept_keys, read_trail, write_trail

KEY = "tiny_sit-cfg-0123456789ab"


def trail_of(hashes: list[int], right: list[bool], contrast: list[float], protocol: str = "aaa") -> dict[str, np.ndarray]:
    return {
        f"{KEY}/sha256": np.array([[h] * 8 for h in hashes], np.uint8),
        f"{KEY}/{protocol}/right": np.array(right),
        f"{KEY}/{protocol}/contrast": np.array(contrast, np.float32),
        "another-run/sha256": np.zeros((9, 8), np.uint8),
        f"another-run/{protocol}/right": np.zeros(9, bool),
    }


def test_items_are_compared_by_bytes_and_by_every_score() -> None:
    committed = trail_of([1, 2, 3, 4], [True, True, False, True], [1.0, 2.0, 3.0, 4.0])
    now = trail_of([1, 9, 3], [True, True, True], [1.0, 2.0005, 3.0], "bbb")  # another number of items: another protocol
    assert compare_trails(committed, now, KEY) == Compared(KEY, 3, 2, 2, ("right",))
    assert compare_trails(committed, committed, KEY) == Compared(KEY, 4, 4, 4, ())
    far = trail_of([1, 2, 3, 4], [True, True, False, True], [1.0, 2.0, 3.0, 4.1])
    assert compare_trails(committed, far, KEY) == Compared(KEY, 4, 4, 3, ("contrast",))


def test_items_of_a_run_are_rows_of_text() -> None:
    rows = items_of(trail_of([1, 171], [True, False], [1.5, 2.0]), KEY, 32)
    assert rows == [
        ["item", "sha256", "right", "contrast"],
        ["0", "01" * 8, "yes", "1.5"],
        ["1", "ab" * 8, "no", "2"],
    ]
    assert items_of({}, KEY, 32) == []


def test_another_run_is_refused() -> None:
    committed = trail_of([1], [True], [1.0])
    assert kept_keys(committed, ["tiny_sit-s2-0", KEY], "table2", "tiny") == [KEY]
    with pytest.raises(UserError, match=r"tiny_sit-s2-0: the committed results are of other runs\n  do: make table2 makes"):
        kept_keys(committed, ["tiny_sit-s2-0"], "table2", "tiny")
    with pytest.raises(UserError, match="do: make methods PROFILE=real makes"):
        kept_keys(committed, [], "methods", "real")


def test_a_trail_is_written_and_read_back_and_one_that_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    file = tmp_path / "table2-tiny.items.npz"
    with pytest.raises(UserError, match=r"not kept\n.*none [\s\S]*make table2 makes"):
        read_trail(file)
    committed = trail_of([1, 2], [True, False], [1.0, 2.0])
    write_trail(file, committed)
    with pytest.raises(UserError, match=r"not kept\n.*: table2-tiny [\s\S]*make fig5 PROFILE=real makes"):
        read_trail(tmp_path / "fig5-real.items.npz")
    assert {name: values.tolist() for name, values in read_trail(file).items()} == {n: v.tolist() for n, v in committed.items()}
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        read_trail(file)


@pytest.mark.slow("samples a table twice")
def test_a_table_is_checked_against_its_own_items(tmp_path: Path) -> None:
    def s2g(*arguments: str, runs: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, "--num", "16", "--workers", "1", "--runs", str(tmp_path / runs)])
        return done.exit_code, done.stdout

    assert s2g("table", "table5", "--out", str(tmp_path), runs="first")[0] == 0
    code, said = s2g("check", "table5", "--results", str(tmp_path), runs="again")
    assert code == 0 and said.count("16 of 16") == 4 and "all scores agree" in said
    file = tmp_path / "table5-tiny.items.npz"
    stored = read_trail(file)
    new = next(iter(stored)).partition("/")[0]  # as if its row were newer than the committed results
    write_trail(file, {name: values for name, values in stored.items() if not name.startswith(new)})
    code, said = s2g("check", "table5", "--results", str(tmp_path), runs="again")
    assert code == 0 and said.count("16 of 16") == 2 and f"not in the committed results, so left out: {new}" in said
    wrong = next(name for name in stored if stored[name].dtype == bool)
    write_trail(file, {**stored, wrong: ~stored[wrong]})
    code, said = s2g("check", "table5", "--results", str(tmp_path), runs="again")
    assert code == 1 and "0 of 16" in said and wrong.rpartition("/")[2] in said
