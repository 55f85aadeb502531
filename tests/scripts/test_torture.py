"""The short version of `make torture`: a table that is killed a few times is, to the byte, the undisturbed one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torture
from tortured import MODES, Command

from s2g.errors import UserError


@pytest.mark.slow("many processes")
@pytest.mark.parametrize("executor", ["local", "array"])
def test_a_table_that_was_killed_is_the_undisturbed_one(
    executor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = torture.main(["kills=4", "items=160", "steps=3", f"root={tmp_path}", f"executor={executor}"])
    said = capsys.readouterr().out
    assert code == 0 and "160 items, 3 steps, 4 kills" in said and any(f" {mode}" in said for mode in MODES[executor]), said


@pytest.mark.slow("many processes")
def test_the_check_sees_what_it_is_there_to_see(tmp_path: Path) -> None:
    one, other, none = tmp_path / "one", tmp_path / "other", torture.Kills()
    torture.finish(Command(64, 2, one, "local", 1))
    shutil.copytree(one, other)
    judged, *_ = [store for store in torture.stores(other) if (store.folder / torture.PLACE).exists()]
    assert len(torture.stores(other)) == 3 and torture.check(one, other, none)[-1] == "yes"

    item, score = judged.folder / "items" / "000003.png", next((judged.folder / "scores").glob("*.json"))
    for file in (item, score):
        before = file.read_bytes()
        file.write_bytes(before[:-1])
        assert torture.check(one, other, none)[-1] == "NO"
        file.write_bytes(before)
    (judged.folder / "locks").mkdir()
    assert torture.check(one, other, none)[-1] == "NO"
    (judged.folder / "locks").rmdir()
    (answers,) = judged.folder.glob(f"{torture.PLACE}/*/part-*/values.jsonl")
    before = answers.read_text()
    answers.write_text(before + before.splitlines(keepends=True)[0])
    assert torture.check(one, other, none)[-1] == "NO"
    answers.write_text(before)
    assert torture.check(one, other, none)[-1] == "yes"

    torture.Journal(judged.folder).add("begun", unit=0)
    assert torture.check(one, other, none)[-1] == "NO" and torture.check(one, other, torture.Kills(at_risk=1))[-1] == "yes"
    torture.Journal(judged.folder).add("stored", unit=0)
    assert torture.check(one, other, torture.Kills(at_risk=1))[-1] == "NO"


def test_an_executor_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="array, local, ray"):
        torture.Settings(executor="slurm")
