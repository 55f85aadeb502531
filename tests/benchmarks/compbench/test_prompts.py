"""The prompt files: official ones whatever their line endings, edited ones refused, all that is wrong in one message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from compbench_fake import LISTS, write_lists

from s2g.benchmarks.compbench import prompts
from s2g.benchmarks.compbench.prompts import CATEGORIES, OFFICIAL, OLDER, identify, load, read
from s2g.errors import UserError

DATA = Path(os.environ.get("S2G_DATA", "")) / "prompts" / "t2i_compbench"
real = pytest.mark.skipif(
    "S2G_DATA" not in os.environ or not DATA.is_dir(), reason="S2G_DATA does not point to prompts/t2i_compbench"
)


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end"])
def test_endings_marks_tabs_and_last_lines_make_no_other_prompt(ending: str, mark: str, last: str) -> None:
    content = mark + ending.join(["a red bench\tseen", " a bowl: it reads 11:44. "]) + (ending if last else "")
    assert read(content.encode()) == ("a red bench", "a bowl: it reads 11:44.")
    assert identify(content.encode()) == identify(b"a red bench\na bowl: it reads 11:44.")


def test_lists_of_ones_own_and_their_repeats(tmp_path: Path) -> None:
    found = load(str(write_lists(tmp_path / "own")), "own", CATEGORIES)
    assert {name: list(listed.prompts) for name, listed in found.items()} == LISTS
    assert [found[name].repeated for name in CATEGORIES] == [1, 0, 0]


def test_everything_that_is_wrong_is_in_one_message(tmp_path: Path) -> None:
    lists = {**LISTS, "color": ["a_b"], "shape": ["a bowl", "", "a cube"]}
    folder = write_lists(tmp_path / "lists", lists)
    (folder / "texture_val.txt").write_bytes(b"a caf\xe9")
    with pytest.raises(UserError) as caught:
        load(str(folder), "own", CATEGORIES)
    said = str(caught.value)
    assert "color_val.txt, line 1 holds _, and images" in said and "shape_val.txt, line 2 is empty" in said
    assert "texture_val.txt is not UTF-8 (byte 5)" in said and "bench.path=FOLDER" in said
    with pytest.raises(UserError, match="line 1 holds a NUL character, and images are named after prompts"):
        load(str(write_lists(tmp_path / "nul", {**LISTS, "color": ["a\0b"]})), "own", CATEGORIES)
    with pytest.raises(UserError, match=r"no file color_val\.txt in .*/none(.|\n)*no file texture_val\.txt"):
        load(str(tmp_path / "none"), "2025-09", CATEGORIES)


def test_without_a_folder_the_message_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2G_DATA", raising=False)
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    load.cache_clear()
    with pytest.raises(UserError, match="s2g fetch compbench"):
        load("", "2025-09", CATEGORIES)


def test_too_few_prompts_are_counted(tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "short", {**LISTS, "shape": ["a bowl"] * 299})
    with pytest.raises(UserError, match=r"shape_val\.txt is not the official file \(it has 299 prompts, not 300"):
        load(str(folder), "2025-09", ("shape",))


@real
def test_the_real_lists_are_what_their_hashes_say() -> None:
    new, old = (load(str(DATA), which, CATEGORIES) for which in ("2025-09", "before"))
    for which, lists in (("2025-09", new), ("before", old)):
        assert {name: listed.sha256 for name, listed in lists.items()} == OFFICIAL[which]
        assert [len(listed.prompts) for listed in lists.values()] == [300, 300, 300]
    assert new["color"].repeated == 0 and old["color"].repeated == 5
    assert new["shape"] == old["shape"] and new["texture"] == old["texture"]
    shapes = [prompt.rstrip(".") for prompt in new["shape"].prompts]
    assert new["shape"].repeated == 0 and len(shapes) - len(set(shapes)) == 1  # once with a final period, once without
    everything = [prompt for listed in (*new.values(), old["color"]) for prompt in listed.prompts]
    assert not [prompt for prompt in everything if "_" in prompt or "/" in prompt or "\r" in prompt or prompt != prompt.strip()]
    assert sum(":" in prompt for prompt in new["color"].prompts) == 2
    raw = (DATA / "color_val.txt").read_bytes()
    assert raw.count(b"\r\n") == 299 and raw.count(b"\n") == 299 and not raw.endswith(b"\n")


@real
@pytest.mark.parametrize(
    "change", [lambda raw: raw.replace(b"\r\n", b"\n"), lambda raw: b"\xef\xbb\xbf" + raw, lambda raw: raw + b"\r\n"]
)
def test_a_real_list_with_other_endings_is_the_same_list(change, tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "changed")
    for category in CATEGORIES:
        (folder / f"{category}_val.txt").write_bytes(change((DATA / f"{category}_val.txt").read_bytes()))
    assert {name: listed.sha256 for name, listed in load(str(folder), "2025-09", CATEGORIES).items()} == OFFICIAL["2025-09"]


@real
def test_one_character_more_is_another_list(tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "edited")
    for category in CATEGORIES:
        (folder / f"{category}_val.txt").write_bytes((DATA / f"{category}_val.txt").read_bytes())
    (folder / "shape_val.txt").write_bytes((DATA / "shape_val.txt").read_bytes().replace(b"plum", b"plums", 1))
    with pytest.raises(UserError, match=r"shape_val\.txt is not the official file \(it was edited"):
        load(str(folder), "2025-09", CATEGORIES)
    (folder / "color_val.txt").write_bytes((DATA / OLDER[0]).read_bytes())
    with pytest.raises(UserError, match=r"color_val\.txt is the list of bench\.prompts=before, not of bench\.prompts=2025-09"):
        load(str(folder), "2025-09", ("color",))
    assert load(str(folder), "before", ("color",))["color"].sha256 == OFFICIAL["before"]["color"]


def test_fetched_files_are_held_against_their_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2g.benchmarks.compbench.fetch import addresses, fetch_file

    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    lists, model = list(addresses())[:4], list(addresses())[-1]
    for name in lists:
        with pytest.raises(UserError, match=r"its sha256 is .*, not "):
            fetch_file(name, lambda address: b"something else")
    assert "fetched, 14 bytes" in fetch_file(model, lambda address: b"something else") and "there" in fetch_file(model)
    assert [path.name for path in prompts.fetched().iterdir() if not path.name.endswith(".sha256")] == [model]
    (prompts.fetched() / model).write_bytes(b"spoiled")
    with pytest.raises(UserError, match=r"its sha256 is .*, not "):  # its hash was noted, and is required from then on
        fetch_file(model, lambda address: b"something new")
    assert "fetched" in fetch_file(model, lambda address: b"something else")


@real
def test_the_real_lists_are_taken_when_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2g.benchmarks.compbench.fetch import addresses, fetch_file

    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    monkeypatch.delenv("S2G_DATA")
    load.cache_clear()
    for name in list(addresses())[:4]:
        assert "fetched" in fetch_file(name, lambda address, name=name: (DATA / name).read_bytes())
    assert load("", "before", CATEGORIES)["color"].repeated == 5 and load("", "2025-09", CATEGORIES)["color"].repeated == 0
    load.cache_clear()
