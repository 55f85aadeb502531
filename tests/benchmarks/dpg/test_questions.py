"""DPG-Bench's files: the official ones by their hashes; other benchmarks', edited ones and missing parents are refused."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from dpg_files import PROMPTS, write

from s2g.benchmarks.dpg import fetch, questions
from s2g.benchmarks.dpg.questions import Asked, blob, load, texts_sha256
from s2g.errors import MissingError, UserError


def test_files_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "own")
    found = load(str(folder), "own")
    assert [prompt.id for prompt in found] == list(PROMPTS) and found[1].text == "a prompt, of COCOval1"
    assert found[1].questions[4] == Asked(5, "Is the cat in the photo?", (1, 4), "relation")
    assert [one.category for one in found[1].questions] == ["entity", "entity", "attribute", "global", "relation"]
    assert load(str(write(tmp_path / "bare", texts=False)), "own") == found  # the CSV's own texts
    with pytest.raises(UserError, match=r"not the file of commit 3c228f1 \(git names it .*, not 98457fc99019"):
        load(str(folder), "official")
    monkeypatch.setattr(questions, "CSV_BLOB", blob((folder / "dpg_bench.csv").read_bytes()))
    with pytest.raises(UserError, match="the 3 prompts beside it are not the 1065 official ones"):
        load(str(folder), "official")
    monkeypatch.setattr(questions, "COUNT", 3)
    monkeypatch.setattr(questions, "TEXTS_SHA256", texts_sha256({prompt.id: prompt.text for prompt in found}))
    assert load(str(folder), "official") == found
    (folder / "prompts" / "COCOval2.txt").write_text("another")
    with pytest.raises(UserError, match="are not the 3 official ones"):
        load(str(folder), "official")
    (folder / "prompts" / "COCOval2.txt").unlink()
    with pytest.raises(UserError, match=r"are not of the same prompts: COCOval2 and 0 more"):
        load(str(folder), "own")
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match=r"no file .*dpg_bench\.csv(.|\n)*s2g fetch dpg"):
        load("", "official")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(1, "0", "entity - whole (a)", "A?"), (2, "3", "entity - whole (b)", "B?")], "2 of one depends on question 3, which"),
        ([(1, "0", "entity - whole (a)", "A?"), (1, "0", "entity - whole (b)", "B?")], r"one has a question twice: \[1, 1\]"),
        ([(1, "", "entity - whole (a)", "A?")], "line 2: proposition_id = 1, dependency = "),
        ([(1, "0", "colour (a)", "A?")], r"line 2: tuple = 'colour \(a\)': no category"),
        ([(1, "0", "entity - whole (a)", " ")], "line 2: it asks nothing"),
    ],
)
def test_questions_that_do_not_hold_together(tmp_path: Path, rows: list[tuple[int, str, str, str]], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(str(write(tmp_path / "own", {"one": rows})), "own")


def test_another_benchmarks_file(tmp_path: Path) -> None:
    (tmp_path / "dpg_bench.csv").write_text("Prompt,Category\na cat,Animals\n")
    with pytest.raises(UserError, match=r"is no file of DPG-Bench: it has no column item_id, text, .*(.|\n)*s2g fetch dpg"):
        load(str(tmp_path), "own")


def test_git_names_a_file_as_we_do(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\r\nb")
    named = subprocess.run(
        ["git", "hash-object", "--no-filters", "a"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert named.stdout.strip() == blob(b"a\r\nb")


def test_what_is_fetched_is_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    folder = write(tmp_path / "ELLA-3c228f1" / "dpg_bench")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(tmp_path))
    with pytest.raises(UserError, match=r"or its 3 prompts are not those of the commit"):
        fetch.fetch_prompts(lambda address: packed.getvalue())
    assert not (tmp_path / "cache" / "dpg" / "dpg_bench.csv").exists()
    monkeypatch.setattr(fetch, "CSV_BLOB", blob((folder / "dpg_bench.csv").read_bytes()))
    monkeypatch.setattr(fetch, "TEXTS_SHA256", texts_sha256({prompt.id: prompt.text for prompt in load(str(folder), "own")}))
    assert "as committed" in fetch.fetch_prompts(lambda address: packed.getvalue())[1]
    assert load("", "own") == load(str(folder), "own")
    (tmp_path / "cache" / "dpg" / "ELLA.zip").unlink()
    with pytest.raises(UserError, match="its sha256 is"):  # the first download's is required from then on
        fetch.fetch_prompts(lambda address: b"no archive")
