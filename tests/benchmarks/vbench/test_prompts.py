"""The 946 prompts: counts, order, names, duplicates; long prompts; fetching."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from vbench_fake import CONTENT, FILES, SUITE, VIDEOS, few  # noqa: F401  # a fixture

from s2g.benchmarks.vbench import fetch, prompts
from s2g.benchmarks.vbench.bench import VBench
from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import colliding, long_prompts, name_of, parted
from s2g.errors import UserError

DATA = Path(os.environ.get("S2G_DATA", "")) / "prompts" / "vbench"
real = pytest.mark.skipif("S2G_DATA" not in os.environ or not DATA.is_dir(), reason="S2G_DATA does not point to prompts/vbench")


def check_names(names: list[str], count: int) -> None:
    """What all names of a set are to obey."""
    assert len(names) == len(set(names)) == count
    for name in names:
        assert "/" not in name and "\0" not in name and len(name.encode()) <= 255, name
        part = parted(name)
        assert part is not None and name_of(*part) == name and name.endswith(f"-{part[1]}.mp4"), name


def test_items_are_a_sample_of_every_prompt_then_the_next() -> None:
    assert len(SUITE.items) == VIDEOS and SUITE.items[:14] == [(at, 0) for at in range(13)] + [(0, 1)]
    assert SUITE.items[13 * 5 :] == [(at, sample) for sample in range(5, 25) for at in (0, 1)]
    assert {at for at, _ in SUITE.items[:13]} == set(range(13))  # one video of each


def test_names_are_the_short_prompt_and_a_number() -> None:
    check_names(list(SUITE.files), FILES)
    assert "A slo-mo of a well-known square.-3.mp4" in SUITE.files
    assert parted("A slo-mo of a well-known square.-3.mp4") == ("A slo-mo of a well-known square.", 3)
    for name in ("a bird.mp4", "a bird-x.mp4", "a bird-01.mp4", "a bird-1", "-"):
        assert parted(name) is None
    assert colliding(list(SUITE.files))[0] == ("a fantasy landscape-0.mp4", "A fantasy landscape-0.mp4")


def test_a_prompt_that_is_listed_twice_has_one_file_and_all_dimensions() -> None:
    assert SUITE.first[11] == 8 and sum(at != first for at, first in enumerate(SUITE.first)) == 1
    assert SUITE.files["The bund Shanghai, oil painting-2.mp4"] == SUITE.items.index((8, 2))
    assert sum("The bund Shanghai, oil painting" in SUITE.prompts_of(name) for name in DIMENSIONS) == 4


def test_a_set_of_the_official_size_is_6230_items_in_6220_files() -> None:
    long = "x" * 200
    prompts_ = [f"in a still frame, {at}" for at in range(75)] + [f"a {long} - {at}." for at in range(869)]
    entries = [prompts.Entry(text, (prompts.FLICKERING,) if at < 75 else ("scene",)) for at, text in enumerate(prompts_)]
    entries += [prompts.Entry(prompts_[at], ("overall_consistency",)) for at in (100, 800)]
    suite = prompts.Suite(tuple(entries), Path("none"))
    assert len(entries) == prompts.COUNT and len(suite.items) == prompts.VIDEOS == 6230
    assert len(set(suite.items)) == 6230 and {at for at, _ in suite.items[:946]} == set(range(946))
    check_names(list(suite.files), 6220)
    assert set(suite.files) == {name_of(entries[at].prompt, sample) for at, sample in suite.items}


@real
def test_the_official_set_is_6230_videos_in_6220_files() -> None:
    suite = prompts.load(str(DATA))
    assert len(suite.entries) == prompts.COUNT and len(suite.items) == prompts.VIDEOS == 6230
    check_names(list(suite.files), 6220)
    assert [entry.prompt for entry in suite.entries] == (DATA / "all_dimension.txt").read_text().splitlines()
    assert sum(entry.samples == 25 for entry in suite.entries) == 75 and len(colliding(list(suite.files))) == 5
    for file in (DATA / "per_dimension").glob("*.txt"):
        assert suite.prompts_of(file.stem) == file.read_text().splitlines(), file
    bench = VBench(path=str(DATA))
    assert bench.num == 6230 and len(set(bench.clusters(6230))) == 944
    assert {bench.official_name(item) for item in range(6230)} == set(suite.files)
    long = VBench(path=str(DATA), prompt_list="augmented", augmented=str(DATA / prompts.AUGMENTED))
    assert (
        long.prompts([1])[0].startswith("A toilet frozen in time, captured") and long.caption(1) == "a toilet, frozen in time"
    )
    assert long.official_name(1) == "a toilet, frozen in time-0.mp4"
    assert long.items_id()["augmented"] != bench.items_id().get("augmented")


@real
def test_what_can_be_fetched_is_what_the_official_place_had() -> None:
    for name, (_, sha256) in fetch.FILES.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == sha256


def test_another_file_is_refused(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    assert len(prompts.load(str(few)).entries) == len(prompts.load(str(few / prompts.FILE)).entries) == 13
    (few / prompts.FILE).write_bytes(CONTENT.replace(b"a bird", b"a bard"))
    prompts.load.cache_clear()
    with pytest.raises(
        UserError, match=r"is not the official file(.|\n)*remove or replace \S*prompts/VBench_full_info\.json, then"
    ):
        prompts.load(str(few))
    monkeypatch.setattr(prompts, "fetched", lambda: few)  # which is fetched anew
    with pytest.raises(UserError, match=r"is not the official file(.|\n)*\n\W*s2g fetch vbench|s2g fetch vbench") as caught:
        prompts.load(str(few))
    assert "remove or replace" not in str(caught.value)
    monkeypatch.undo()
    monkeypatch.setattr(prompts, "fetched", lambda: few / "none")
    monkeypatch.delenv("S2G_DATA", raising=False)
    with pytest.raises(UserError, match=r"no file VBench_full_info\.json(.|\n)*s2g fetch vbench"):
        prompts.load("")


def test_long_prompts_are_one_for_each(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_bytes("\r\n".join(f"long {at}" for at in range(13)).encode())
    listed, sha256 = long_prompts(str(file), 13)
    assert listed[12] == "long 12"
    other = tmp_path / "unix.txt"
    other.write_text("\n".join(f"long {at}" for at in range(13)) + "\n")
    assert long_prompts(str(other), 13) == (listed, sha256)
    for text, said in (("a\nb\n", "2 lines for 13 prompts"), ("a\n" * 5 + " \n" + "a\n" * 7, "line 6 is empty")):
        file.write_text(text)
        long_prompts.cache_clear()
        with pytest.raises(UserError, match=said):
            long_prompts(str(file), 13)
    with pytest.raises(UserError, match=r"bench\.augmented=FILE"):
        long_prompts("", 13)
    with pytest.raises(UserError, match="it would not be read"):
        VBench(augmented=str(file))


def test_what_is_fetched_is_held_against_its_sum(few: Path) -> None:  # noqa: F811
    asked: list[str] = []

    def get(address: str) -> bytes:
        asked.append(address)
        return b"other"

    with pytest.raises(UserError, match=r"its sha256 is .*, not "):
        fetch.fetch_file(prompts.FILE, get)
    assert not (prompts.fetched() / prompts.FILE).exists()
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(fetch.FILES, "x", ("https://nowhere/x", hashlib.sha256(b"other").hexdigest()))
        assert "fetched, 5 bytes" in fetch.fetch_file("x", get) and fetch.fetch_file("x", get) == "x: there"
    assert len(asked) == 2
