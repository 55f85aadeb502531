"""HPSv2's lists of prompts: counted, recorded at the first fetch, required ever after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from s2g.benchmarks.hps import published
from s2g.benchmarks.hps.checkpoint import content_hash
from s2g.benchmarks.hps.fetch import UnreachableError, fetch_checkpoint, fetch_prompts
from s2g.benchmarks.hps.prompts import COUNT, STYLES, load
from s2g.benchmarks.of_texts import in_turn
from s2g.errors import SeveralError, UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("S2G_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """What the data set holds."""
    folder = tmp_path / "published"
    folder.mkdir()
    for style in STYLES:
        (folder / f"{style}.json").write_text(json.dumps([f"{style} number {i}" for i in range(COUNT)]))
    return folder


def getter(folder: Path, repository: str = published.DATA_SET) -> object:
    def get(asked: str, kind: str, name: str) -> Path:
        assert asked == repository
        return folder / Path(name).name

    return get


def test_fetched_lists_are_recorded_and_required_ever_after(hub: Path, cache: Path) -> None:
    with pytest.raises(
        UserError, match=r"no file anime.json, concept-art.json, paintings.json, photo.json(.|\n)*s2g fetch hps"
    ):
        load("", "official")
    said = fetch_prompts(getter(hub))  # type: ignore[arg-type]
    assert len(said) == 4 and content_hash(hub / "anime.json") in said[0]
    lists = load("", "official")
    assert [listed.style for listed in lists] == list(STYLES) and {len(listed.prompts) for listed in lists} == {COUNT}
    assert load(str(hub), "official") == lists
    kept = cache / "hps" / "prompts" / "paintings.json"
    kept.write_text(kept.read_text().replace("number 17", "number 7!", 1))  # one prompt of it
    with pytest.raises(UserError, match=r"paintings.json was edited(.|\n)*s2g fetch hps"):
        load("", "official")
    edited = hub / "paintings.json"
    edited.write_text(edited.read_text().replace("paintings number 17", "paintings number 18", 1))
    fetched = cache / "hps" / "prompts"
    for style in STYLES:  # the fetched ones are whole again, and the folder's is not
        (fetched / f"{style}.json").write_text(json.dumps([f"{style} number {i}" for i in range(COUNT)]))
    with pytest.raises(UserError, match=r"first number 17: 'paintings number 18'"):
        load(str(hub), "official")
    with pytest.raises(UserError, match=r"paintings.json is not what was first fetched"):
        fetch_prompts(getter(hub))  # type: ignore[arg-type]
    assert load("", "official") == lists


def test_every_list_that_is_wrong_is_named_at_once(hub: Path, tmp_path: Path) -> None:
    (hub / "anime.json").write_text(json.dumps([f"{i}" for i in range(COUNT - 1)]))
    (hub / "photo.json").unlink()
    (hub / "paintings.json").write_text('{"a": 1}')
    (hub / ".DS_Store").write_bytes(b"\0")
    with pytest.raises(SeveralError) as raised:
        load(str(hub), "official")
    said = str(raised.value)
    assert "3 things" in said and "anime.json has 799 prompts, not 800" in said
    assert (
        "no file" in said and "photo.json" in said and "paintings.json is no list of prompts" in said and "DS_Store" not in said
    )
    (hub / "anime.json").write_text(json.dumps([""] * COUNT))
    with pytest.raises(UserError, match=r"anime.json, prompt 0 is empty"):
        load(str(hub), "own")
    shutil.rmtree(hub)
    with pytest.raises(UserError, match=r"no file anime.json, concept-art.json"):
        load(str(hub), "official")


def test_a_short_list_of_the_hub_is_not_kept(hub: Path, cache: Path) -> None:
    (hub / "photo.json").write_text('["one"]')
    with pytest.raises(UserError, match=r"photo.json has 1 prompts, not 800; nothing is kept"):
        fetch_prompts(getter(hub))  # type: ignore[arg-type]
    assert not (cache / "hps" / "prompts" / "photo.json").exists() and (cache / "hps" / "prompts" / "anime.json").exists()


def test_lists_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "zoo.json").write_text('["a cat", "a dog", "a newt"]')
    (tmp_path / "photo.json").write_text('["a tree"]')
    lists = load(str(tmp_path), "own")
    counts = {listed.style: len(listed.prompts) for listed in lists}
    assert in_turn(counts) == [
        ("photo", 0),
        ("zoo", 0),
        ("zoo", 1),
        ("zoo", 2),
    ]
    assert load(str(tmp_path / "zoo.json"), "own")[0].prompts == ("a cat", "a dog", "a newt")
    for path in ("", str(tmp_path / "none")):
        with pytest.raises(UserError, match=r"bench\.path"):
            load(path, "own")


def test_the_checkpoint_is_held_against_what_the_hub_states(tmp_path: Path) -> None:
    (tmp_path / published.V21).write_bytes(b"weights")
    right = content_hash(tmp_path / published.V21)
    get = getter(tmp_path, published.REPOSITORY)
    with pytest.raises(UserError, match="the hub states"):
        fetch_checkpoint(get, lambda repository, name: "0" * 64)  # type: ignore[arg-type]
    assert published.recorded()["weights"] == {}
    fetch_checkpoint(get, lambda repository, name: right if name == published.V21 else "1" * 64)  # type: ignore[arg-type]
    assert published.recorded()["weights"] == {published.V21: right, published.V20: "1" * 64}
    (tmp_path / published.V21).write_bytes(b"weights of another day")
    again = content_hash(tmp_path / published.V21)
    with pytest.raises(UserError, match="is not what was first fetched"):
        fetch_checkpoint(get, lambda repository, name: again)  # type: ignore[arg-type]


def test_a_hub_that_cannot_be_reached_is_asked_once(cache: Path) -> None:
    asked = []

    def get(repository: str, kind: str, name: str) -> Path:
        asked.append(name)
        raise UnreachableError("cannot be reached")

    with pytest.raises(UserError, match="cannot be reached"):
        fetch_prompts(get)
    assert asked == ["benchmark/anime.json"]
