"""GenEval 2's file: the official one by its sha256; another benchmark's, an edited or an inconsistent one is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from s2g.benchmarks.geneval2 import fetch, prompts
from s2g.benchmarks.geneval2.prompts import FILE, load
from s2g.errors import MissingError, UserError

CATS: dict[str, Any] = {
    "prompt": "two red cats",
    "atom_count": 3,
    "vqa_list": [["How many cats are in the image?", "two"], ["Are the cats red?", "Yes"], ["Are there any cats?", "Yes"]],
    "skills": ["count", "attribute", "object"],
}


def written(folder: Path, *lines: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


def test_a_file_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "own", CATS, {**CATS, "prompt": "a dog", "atom_count": 1})
    found = load(path, "own")
    assert [(one.text, one.atoms) for one in found.prompts] == [("two red cats", 3), ("a dog", 1)]
    assert found.prompts[0].questions[1] == ("Are the cats red?", "Yes", "attribute")
    assert load(f"{path}/{FILE}", "own") == found
    with pytest.raises(
        UserError, match=r"is not the official file \(it has 2 prompts, not 800; sha256 .*(.|\n)*prompt_list=own"
    ):
        load(path, "official")
    sha256 = hashlib.sha256((tmp_path / "own" / FILE).read_bytes()).hexdigest()
    monkeypatch.setattr(prompts, "SHA256", sha256)
    monkeypatch.setattr(prompts, "COUNT", 2)
    assert load(path, "official") == found
    written(tmp_path / "own", CATS, {**CATS, "prompt": "a cat", "atom_count": 1})
    with pytest.raises(UserError, match=r"it was edited"):
        load(path, "official")
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match=r"bench\.path = \(not given\): no file .*(.|\n)*s2g fetch geneval2"):
        load("", "official")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"tag": "counting", "include": [], "prompt": "four vases"},
            r"line 2 is no prompt of GenEval 2: a line of GenEval \(the",
        ),
        ({"prompt_en": "a cat", "dimension": []}, "line 2 is no prompt of GenEval 2: a line of VBench"),
        ({"prompt": "a cat"}, "line 2 is no prompt of GenEval 2: with prompt"),
        ("a cat", "line 2 is no prompt of GenEval 2: with no fields"),
        ({**CATS, "skills": ["count", "object"]}, r"line 2: skills = \['count', 'object'\]"),
        ({**CATS, "skills": ["count", "object", "colour"]}, "line 2: skills = .*colour"),
        ({**CATS, "vqa_list": [["How many?"]]}, "line 2: vqa_list is no list"),
        ({**CATS, "vqa_list": [], "skills": []}, "line 2: vqa_list is no list"),
        ({**CATS, "atom_count": "3"}, "line 2: atom_count = '3'"),
        ({**CATS, "prompt": " "}, "line 2: its prompt is none"),
    ],
)
def test_a_list_of_another_benchmark_or_one_that_does_not_hold_together(tmp_path: Path, line: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(written(tmp_path / "own", CATS, line), "own")


def test_what_is_fetched_is_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    asked: list[str] = []

    def get(address: str) -> bytes:
        asked.append(address)
        return (json.dumps(CATS) + "\n").encode()

    with pytest.raises(UserError, match=r"its sha256 is .*, not 09233adbc9f8"):
        fetch.fetch_prompts(get)
    assert not (tmp_path / "geneval2" / FILE).exists()
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(get("")).hexdigest())
    assert "fetched" in fetch.fetch_prompts(get)[0] and "there" in fetch.fetch_prompts(get)[0]
    assert (
        asked[0] == f"https://raw.githubusercontent.com/facebookresearch/GenEval2/{prompts.COMMIT}/{FILE}" and len(asked) == 3
    )
    assert load("", "own").prompts[0].text == "two red cats"
