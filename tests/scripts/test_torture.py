"""The short version of `make torture`: a run that is killed a few times is, to the byte, the undisturbed one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torture


@pytest.mark.slow("many processes")
@pytest.mark.parametrize("method", torture.METHODS)
def test_a_run_that_was_killed_is_the_undisturbed_run(method: str, tmp_path: Path) -> None:
    settings = torture.Settings(kills=2, items=160, steps=3)
    straight = torture.finish(settings, method, tmp_path / "straight", 1)
    tortured, kills = torture.torture(settings, method, tmp_path / "tortured")
    row = torture.check(method, straight, tortured, kills)
    assert sum(kills.modes.values()) == 2 and row[-1] == "yes", row


@pytest.mark.slow("many processes")
def test_the_check_sees_what_it_is_there_to_see(tmp_path: Path) -> None:
    settings = torture.Settings(kills=0, items=32, steps=1)
    one, other = (torture.finish(settings, "momentum", tmp_path / name, 1) for name in ("one", "other"))
    none = torture.Kills(torture.Counter(), torture.Counter())
    assert torture.check("momentum", one, other, none)[-1] == "yes"
    item = other.folder / "items" / "000003.png"
    before = item.read_bytes()
    item.write_bytes(before[:-1])
    assert torture.check("momentum", one, other, none)[-1] == "NO"
    item.write_bytes(before)
    (other.folder / "locks").mkdir()
    assert torture.check("momentum", one, other, none)[-1] == "NO"
    (other.folder / "locks").rmdir()
    torture.Journal(other.folder).add("begun", unit=1)
    torture.Journal(other.folder).add("stored", unit=1)
    assert torture.check("momentum", one, other, none)[-1] == "NO"
