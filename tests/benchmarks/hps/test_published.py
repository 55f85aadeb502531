"""What was recorded at the first fetch: a damaged record refuses, instead of letting everything through."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from s2g.benchmarks.compbench import phrases
from s2g.benchmarks.hps import published
from s2g.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    return tmp_path


def test_nothing_recorded_is_empty_and_a_damaged_record_is_named() -> None:
    assert published.recorded() == {"prompts": {}, "weights": {}}
    published.record("weights", {"a": "1"})
    file = published.place() / "recorded.json"
    for damage in (file.read_text()[:-5], "{}", "[]", '{"prompts": 1, "weights": {}}'):
        file.write_text(damage)
        with pytest.raises(UserError, match=r"recorded\.json: the record of what was fetched(.|\n)*s2g fetch hps"):
            published.recorded()
        with pytest.raises(UserError):
            published.record("weights", {"b": "2"})
        assert file.read_text() == damage


def test_two_that_record_at_once_lose_nothing() -> None:
    threads = [threading.Thread(target=published.record, args=("weights", {f"{at}": "1"})) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(published.recorded()["weights"]) == 12


def test_the_kept_model_of_spacy_is_held_against_what_was_noted(cache: Path) -> None:
    wheel = cache / "compbench" / phrases.MODEL
    wheel.parent.mkdir()
    wheel.write_bytes(b"a wheel")
    assert phrases.model_place("") == wheel  # put there by hand
    wheel.with_name(f"{wheel.name}.sha256").write_text("00ff\n")
    with pytest.raises(UserError, match=r"is not what was fetched(.|\n)*s2g fetch compbench"):
        phrases.model_place("")
    assert phrases.model_place(str(wheel)) == wheel  # as one's own
