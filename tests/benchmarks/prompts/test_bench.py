"""bench=prompts: files of prompts and what is wrong with them; seeds of their own; the paper's prompts by default."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from s2g.benchmarks.prompts.bench import Prompts
from s2g.benchmarks.prompts.prompt_file import read_prompts
from s2g.engine.resolve import outline, resolve
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.sampling.loop import initial_noise, noise_of
from s2g.sampling.unit import Unit

ODD = ["a cat ☃", "猫が月の上に座っている", "👩‍🚀 on the moon", "x" * 2000]


def file(tmp_path: Path, content: str | bytes, name: str = "p.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_lines_are_prompts_whatever_they_are_written_in(tmp_path: Path) -> None:
    assert read_prompts(file(tmp_path, "\n".join(ODD) + "\n")) == (tuple(ODD), ())
    assert read_prompts(file(tmp_path, "\ufeffa cat\r\n a dog \r\n")) == (("a cat", "a dog"), ())
    lines = "\n".join(json.dumps({"prompt": prompt, "seed": place}) for place, prompt in enumerate(ODD))
    assert read_prompts(file(tmp_path, lines, "p.jsonl")) == (tuple(ODD), (0, 1, 2, 3))
    assert read_prompts(file(tmp_path, lines, "p.NDJSON")) == (tuple(ODD), (0, 1, 2, 3))
    assert read_prompts(file(tmp_path, '{"prompt": "a cat"}', "q.JSONL")) == (("a cat",), ())
    assert read_prompts(file(tmp_path, "\ufeff" + json.dumps(ODD), "p.json")) == (tuple(ODD), ())
    assert read_prompts(file(tmp_path, f"[\n {lines.replace(chr(10), ', ')}\n]", "q.json")) == (tuple(ODD), (0, 1, 2, 3))


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    within = [f"a{character}cat" for character in "\u2028\u2029\x85\x0b\x0c\x1c\x1e"]
    assert read_prompts(file(tmp_path, "\r\n".join(within))) == (tuple(within), ())
    assert read_prompts(file(tmp_path, json.dumps({"prompt": within[0]}, ensure_ascii=False), "p.jsonl"))[0] == (within[0],)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("a cat\n   \na dog\n", "p.txt", "line 2: the prompt is empty"),
        ("", "p.txt", "it has no prompts"),
        (b"a cat\n\xff\xfe", "p.txt", "not text in UTF-8 (byte 6)"),
        ('{"prompt": "a"}\n{"prompt": ""}', "p.jsonl", "line 2: the prompt is empty"),
        ('{"prompt": "a"}\n\n', "p.jsonl", "line 2: not JSON"),
        ('{"promt": "a"}', "p.jsonl", "line 1: it has no prompt"),
        ('{"prompt": "a", "sede": 3}', "p.jsonl", "Did you mean 'seed'"),
        ('{"prompt": "a", "seed": 1.5}', "p.jsonl", "line 1, seed = 1.5: not a whole number"),
        ('{"prompt": "a", "seed": -1}', "p.jsonl", "line 1, seed = -1"),
        ('{"prompt": "a", "seed": 18446744073709551616}', "p.jsonl", "line 1, seed = 18446744073709551616"),
        ('{"prompt": "a", "prompt": "b"}', "p.jsonl", "line 1: not JSON ('prompt' stands there twice)"),
        ('{"prompt": "a"}\n{"prompt": "\\ud83d"}', "p.jsonl", "line 2: half of a surrogate pair ('\\ud83d')"),
        ('["a", " "]', "p.json", "entry 2: the prompt is empty"),
        ('["a", 3]', "p.json", "entry 2: it has no prompt"),
        ('{"prompt": "a"}', "p.json", "not a list"),
        ("[]", "p.json", "it has no prompts"),
        ("prompt,seed\na cat,3\n", "p.csv", "a .csv file would be read as one prompt a line"),
        ("prompt\tseed\na cat\t3\n", "p.TSV", "a .tsv file would be read as one prompt a line"),
        ("prompts: [a cat]", "p.yaml", "a .yaml file"),
        ('{"prompt": "a"}\n{"prompt": "b"}', "p.txt", "rename it to .jsonl"),
        ('[\n "a",\n "b"\n]', "p.txt", "rename it to .json"),
        ("a cat\ra dog", "p.txt", "line 1: a carriage return within the line"),
        ('{"prompt": "a", "seed": 1}\n{"prompt": "b"}', "p.jsonl", "line 2: some lines have a seed"),
        ('{"prompt": "a"}\n{"prompt": "b", "seed": 1}', "p.jsonl", "line 2: some lines have a seed"),
    ],
)
def test_what_is_no_prompt_is_named_by_file_and_line(content: str | bytes, name: str, said: str, tmp_path: Path) -> None:
    path = file(tmp_path, content, name)
    with pytest.raises(UserError) as caught:
        Prompts(path=str(path))
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_typed_prompts_are_checked_too(tmp_path: Path) -> None:
    for values, said in (
        ({"text": ("a cat", " ")}, "prompt 2 is empty"),
        ({"text": ("a cat", "caf\udce9")}, "prompt 2 holds half of a surrogate pair"),
        ({}, "no prompts"),
        ({"text": ("a",), "seeds": (2**64,)}, "below 2.64"),
        ({"text": ("a", "b"), "seeds": (1,)}, "1 seeds for 2 prompts"),
        ({"path": str(tmp_path / "none.txt")}, "No such file"),
    ):
        with pytest.raises(UserError, match=said):
            Prompts(**values)


@pytest.mark.parametrize("kind", ["", ".txt", ".jsonl", ".json"])
def test_pipes_and_devices_are_refused_at_once(kind: str, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / f"pipe{kind}")
    (zeros := tmp_path / f"zeros{kind}").symlink_to("/dev/zero")
    for path in (pipe, zeros):
        with pytest.raises(UserError, match="Not a regular file"):
            Prompts(path=str(path))


def test_brackets_alone_are_no_json(tmp_path: Path) -> None:
    prompts = ("[cinematic] a cat", "{a, b} and c")
    assert read_prompts(file(tmp_path, "\n".join(prompts))) == (prompts, ())


def test_the_papers_images_by_default(composed: Callable[..., dict]) -> None:
    run = outline(composed("model=sd35", "bench=prompts"))
    assert run.num == 6 and run.bench.caption(5) == "a red book and an ivory sheep."  # type: ignore[union-attr]
    assert run.unbuilt is None


def test_models_that_read_no_words_are_refused(composed: Callable[..., dict]) -> None:
    with pytest.raises(UserError, match="tiny_sit does not read prompts in words"):
        resolve(composed("bench=prompts"))


def run_of(composed: Callable[..., dict], *typed: str) -> Run:
    return resolve(composed("model=sd35", "model.weights=random", "bench=prompts", *typed))[0]


def test_the_key_is_of_the_prompts_not_of_their_file(composed: Callable[..., dict], tmp_path: Path) -> None:
    one, two = (file(tmp_path, "a cat\na dog\n", name) for name in ("one.txt", "two.txt"))
    key = run_of(composed, f"bench.path={one}").key
    assert run_of(composed, f"bench.path={two}").key == key == run_of(composed, "bench.text=[a cat, a dog]").key
    assert run_of(composed, f"bench.path={one}", "num=7").key == key
    assert run_of(composed, "bench.text=[a cat, a cow]").key != key
    assert run_of(composed, "bench.text=[a cat, a dog]", "bench.seeds=[0,1]").key != key


def test_a_run_is_made_again_from_what_it_holds_though_the_file_is_gone(composed: Callable[..., dict], tmp_path: Path) -> None:
    from s2g.engine.resolve import restore

    path = file(tmp_path, "a cat\na dog\n")
    run = run_of(composed, f"bench.path={path}")
    path.unlink()
    again = restore(run.config, 2)
    assert again.key == run.key and again.bench.prompts([0, 1, 2]) == ["a cat", "a dog", "a cat"]


def test_beyond_the_prompts_they_come_again_with_other_noise(composed: Callable[..., dict]) -> None:
    run = run_of(composed, "bench.text=[a, b]", "num=8")
    assert run.bench.prompts(range(4)) == ["a", "b", "a", "b"] and run.bench.cycle == 2
    noise = noise_of(run.unit(0), (3,))
    assert torch.equal(noise, initial_noise(run.seed, range(4), (3,))) and len(noise.unique(dim=0)) == 4
    assert run_of(composed, "bench.text=[a]").num == 1


def test_a_seed_of_its_own_is_its_noise_wherever_it_stands(composed: Callable[..., dict]) -> None:
    run = run_of(composed, "bench.text=[a, b, c]", "bench.seeds=[5,9,5]", "num=6")
    noise = noise_of(run.unit(0), (3,))
    assert torch.equal(noise[0], initial_noise(5, [0], (3,))[0]) and torch.equal(noise[0], noise[2])
    assert torch.equal(noise[1], initial_noise(9, [0], (3,))[0])
    assert torch.equal(noise[3], initial_noise(5, [1], (3,))[0])  # the prompt's second image
    unit = run.unit(0)
    part = Unit(unit.index, unit.items[2:], unit.seed, unit.mask_seed, 0, unit.streams)  # as where memory does not suffice
    assert torch.equal(noise_of(part, (3,)), noise[2:])


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a red striped dog", "does not know the word 'dog'"),
        ("a red circle ☃👩‍🚀", "☃👩"),
        ("猫が月の上に座っている", "猫が月の上に座っている"),
        ("x" * 2000, "the word 'xxx"),
        ("a red \x1b[31m circle", r"'\x1b[31m'"),
        (" , .", "it has no words"),
    ],
)
def test_the_built_in_model_names_what_it_cannot_read(
    prompt: str, said: str, tmp_path: Path, composed: Callable[..., dict]
) -> None:
    """Before any weight is read, in lines that fit a screen."""
    raw = composed("model=tiny_sd3", "model.weights=/no/such.pt", "bench=prompts", f"bench.path={file(tmp_path, prompt)}")
    with pytest.raises(UserError) as caught:
        resolve(raw)
    assert said in str(caught.value) and max(map(len, str(caught.value).splitlines())) < 220


def test_a_bench_of_the_built_in_captions_is_refused_to_others_and_other_benches_to_its_model(
    composed: Callable[..., dict],
) -> None:
    for typed, said in (
        (("model=tiny_sit", "bench=shapes_t2i"), "tiny_sit does not paint captions"),
        (("model=sd35", "model.weights=random", "bench=shapes_t2i"), "sd35 does not paint captions"),
        (("model=tiny_sd3", "bench=shapes"), "tiny_sd3 paints what words say"),
        (("model=tiny_sd3", "bench=imagenet"), "tiny_sd3 paints what words say"),
    ):
        with pytest.raises(UserError, match=said):
            resolve(composed(*typed))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("model=tiny_sd3 model.resolution=64", "allowed: 32 pixels"),
        ("model=sd35 model.resolution=1000", "multiples of 16"),
        ("model=sd35 model.resolution=0", "multiples of 16"),
        ("model=sd3 model.resolution=4096", "up to 3072 pixels"),
        ("model=flux model.resolution=1000", "multiples of 16"),
        ("model=tiny_sd3 model.weights=none", "tiny_sd3 has weights"),
        ("model=sd35 model.weights=none", "sd35 has weights"),
    ],
)
def test_what_a_model_cannot_do_is_said_before_it_is_loaded(typed: str, said: str, composed: Callable[..., dict]) -> None:
    with pytest.raises(UserError, match=said):
        outline(composed("bench=prompts", *typed.split()))


def test_a_file_is_no_folder(composed: Callable[..., dict], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it is a file"):
        resolve(composed("model=sd35", "bench=prompts", f"model.weights={file(tmp_path, 'x')}"))
