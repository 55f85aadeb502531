"""The run of fifty thousand items in small: made, stopped, resumed, hashed, scored by every metric, exported."""

from __future__ import annotations

from pathlib import Path

import fifty_thousand
import pytest

from s2g.config.registry import BENCHES, MODELS


@pytest.mark.slow("many processes")
def test_a_small_run_goes_all_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for registry in (BENCHES, MODELS):  # the script makes its own known
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
    typed = ["items=70", "unit=16", "keep=npz", "score=is,precision,recall,kid", f"root={tmp_path / 'runs'}"]
    assert fifty_thousand.main(typed) == 0
    out = capsys.readouterr().out
    assert "70 items in units of 16, npz" in out and "| export |" in out
