"""Embeddings of prompts: encoders are opened once for what is new and never else; what is damaged or other is not taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from s2g.errors import UserError
from s2g.io.cache import cache_folder
from s2g.io.hashing import content_hash
from s2g.models.shared.prompt_cache import Embedded, PromptCache
from s2g.models.shared.text import CachedText, Encode, RandomText, conditions

MADE_BY = {"text": "abc", "dtype": "torch.bfloat16"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Encoders:
    """Stands for text encoders; counts how often they are opened, and what they encode."""

    def __init__(self) -> None:
        self.opened, self.open_now, self.encoded = 0, 0, list[str]()

    @contextmanager
    def __call__(self) -> Iterator[Encode]:
        self.opened, self.open_now = self.opened + 1, self.open_now + 1
        yield self.encode
        self.open_now -= 1

    def encode(self, prompt: str) -> Embedded:
        self.encoded.append(prompt)
        value = float(len(prompt))
        remark = "tokenizer reads 77 of 900 tokens" if len(prompt) > 500 else ""
        return Embedded({"tokens": torch.full((3, 4), value).bfloat16(), "pooled": torch.full((2,), value).bfloat16()}, remark)


@pytest.fixture
def text() -> Callable[..., tuple[CachedText, Encoders]]:
    def make(model: str = "sd35", **made_by: str) -> tuple[CachedText, Encoders]:
        encoders = Encoders()
        return CachedText(PromptCache(model, MADE_BY | made_by), encoders, torch.device("cpu")), encoders

    return make


def test_encoders_are_opened_once_for_all_prompts_then_never(text) -> None:
    first, encoders = text()
    first.precompute(["a cat", "a dog", "", "a cat"])
    assert (encoders.opened, encoders.open_now, encoders.encoded) == (1, 0, ["a cat", "a dog", ""])
    tokens, pooled = first.encode(["a dog", "a cat", "a dog"])
    assert tokens.shape == (3, 3, 4) and pooled.shape == (3, 2) and tokens.dtype == torch.bfloat16
    assert encoders.opened == 1

    again, others = text()
    got = again.encode(["a dog", "a cat", "a dog"])
    assert torch.equal(got[0], tokens) and torch.equal(got[1], pooled) and others.opened == 0
    again.encode(["a cat", "a cow"])
    assert others.encoded == ["a cow"]


@pytest.mark.parametrize("other", [{"text": "def"}, {"dtype": "torch.float32"}, {"model": "sd3"}])
def test_another_revision_dtype_or_model_is_not_taken(text, other: dict[str, str]) -> None:
    text()[0].encode(["a cat"])
    second, encoders = text(**other)
    second.encode(["a cat"])
    assert encoders.encoded == ["a cat"]


def test_an_edited_prompt_is_encoded_anew(text) -> None:
    text()[0].encode(["a cat"])
    second, encoders = text()
    second.encode(["a cat "])
    assert encoders.encoded == ["a cat "]


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "another's"])
def test_a_damaged_file_is_named_and_made_anew(text, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = text()
    want = first.encode(["a cat", "a dog"])
    path = first.cache.file("a cat")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-3] ^= 1
    elif damage == "another's":
        content = bytearray(first.cache.file("a dog").read_bytes())
    path.write_bytes(bytes(content[: {"cut": len(content) - 5, "emptied": 0}.get(damage, len(content))]))
    second, encoders = text()
    got = second.encode(["a cat", "a dog"])
    assert encoders.encoded == ["a cat"] and all(torch.equal(*pair) for pair in zip(got, want, strict=True))
    assert f"{path}: damaged" in capsys.readouterr().err
    third, others = text()
    third.encode(["a cat"])
    assert others.opened == 0


def test_what_is_not_read_is_told_once_also_from_the_cache(text, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a cat " * 334
    for _ in range(2):
        front = text()[0]
        front.precompute([long, "a cat"])
        front.encode([long, "a cat"])
        front.encode([long])
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and said[0].startswith("prompt 'a cat a cat") and "reads 77 of 900 tokens" in said[0]


def test_two_processes_do_not_both_encode(text) -> None:
    """The second waits for the first and finds what it made."""
    (first, mine), (second, theirs) = text(), text()
    waiting = threading.Thread(target=second.encode, args=(["a cat"],))
    with first.cache.locked():
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and theirs.opened == 0
        first.cache.put("a cat", mine.encode("a cat"))
    waiting.join(10)
    assert not waiting.is_alive() and theirs.opened == 0


def test_nothing_half_written_is_left(text, own_cache: Path) -> None:
    text()[0].encode(["a cat"])
    assert {path.suffix for path in own_cache.rglob("*") if path.is_file()} == {".safetensors", ""}  # and the lock


def test_a_cache_that_cannot_be_written_is_named(text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="S2G_CACHE"):
        text()[0].encode(["a cat"])


def test_the_cache_is_where_it_is_asked_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2G_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache_folder() == Path("/there/s2g")


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path, own_cache: Path) -> None:
    import hashlib

    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert content_hash(file) == hashlib.sha256(b"one").hexdigest()
    (note,) = (own_cache / "hashes").iterdir()
    note.write_text(note.read_text().replace(content_hash(file), "f" * 64))
    assert content_hash(file) == "f" * 64  # so it was not hashed again
    file.write_bytes(b"two!")
    assert content_hash(file) == hashlib.sha256(b"two!").hexdigest()
    note.write_text("{")
    assert content_hash(file) == hashlib.sha256(b"two!").hexdigest()


def test_uncond_is_the_empty_prompt_for_every_item() -> None:
    class Counting:
        def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
            return torch.tensor([[[float(len(p))]] for p in prompts]), torch.tensor([[float(len(p))] for p in prompts])

    found = conditions(Counting(), ["ab", "abc"])
    assert found["cond"].tensors["tokens"].flatten().tolist() == [2, 3]
    assert found["uncond"].tensors["tokens"].shape == (2, 1, 1) and not found["uncond"].tensors["pooled"].any()


def test_random_embeddings_are_a_prompts_own() -> None:
    text = RandomText((5, 8), 4, torch.float16, "cpu", seed=1)
    one, two = text.encode(["a", "b"])[0], text.encode(["b"])[0]
    assert torch.equal(one[1], two[0]) and not torch.equal(one[0], one[1]) and one.dtype == torch.float16
    assert not torch.equal(RandomText((5, 8), 4, torch.float16, "cpu", seed=2).encode(["b"])[0], two)
