"""Knobs that would not be read are refused by name, unless they are a YAML's; words a built-in model lacks are said first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compbench_fake import write_lists

from s2g.benchmarks.compbench.bench import CompBench
from s2g.benchmarks.hps.bench import HPS21
from s2g.benchmarks.prompts.bench import Prompts
from s2g.config.schema import read
from s2g.engine.resolve import outline
from s2g.errors import UserError


def test_a_file_of_prompts_and_typed_ones_are_refused(composed: Callable[..., dict], tmp_path: Path) -> None:
    (file := tmp_path / "p.txt").write_text("a cat\n")
    plain = ("model=sd35", "bench=prompts", f"bench.path={file}")
    assert outline(composed(*plain)).bench.caption(0) == "a cat"  # type: ignore[union-attr]
    for typed, key in (("bench.text=[a dog]", "text"), ("bench.seeds=[3]", "seeds")):
        with pytest.raises(UserError, match=rf"bench\.{key} is given, and bench\.path = .*p\.txt: it would not be read"):
            outline(composed(*plain, typed))
    seeded = outline(composed("model=sd35", "bench=prompts", "bench.seeds=[1,2,3,4,5,6]")).bench
    assert seeded.streams([5]) == {5: (6, 0)}  # type: ignore[union-attr]
    with pytest.raises(UserError, match="no prompts"):
        outline(composed("model=sd35", "bench=prompts", "bench.text=[]"))
    with pytest.raises(UserError, match=r"bench\.listed"):
        read(Prompts, {"text": ["a"], "listed": ["b"]}, "bench")


def test_knobs_of_our_scorer_are_refused_to_the_official_one(composed: Callable[..., dict]) -> None:
    plain = ("model=sd35", "bench=hps", "bench.scorer=official")
    assert outline(composed(*plain)).bench.scorer == "official"  # type: ignore[union-attr]
    for typed in ("antialias=true", "antialias=false", "dtype=fp32", "device=cpu"):
        said = rf"bench\.{typed.replace('=', ' = ')}, and bench\.scorer = official: it would not be read"
        with pytest.raises(UserError, match=said):
            outline(composed(*plain, f"bench.{typed}"))
    HPS21(scorer="official", device="cpu", score=("hps", "qalign"))  # Q-Align reads it
    HPS21(scorer="official", antialias=False, score=())


def test_knobs_that_are_not_typed_are_what_they_were() -> None:
    assert HPS21()._clip == HPS21(antialias=True, dtype="fp32")._clip
    assert HPS21(antialias=False, dtype="fp16")._clip.knobs == "antialias=false, fp16"


def test_words_that_a_built_in_model_lacks_are_said_before_anything_is_loaded(
    tmp_path: Path, composed: Callable[..., dict]
) -> None:
    model = outline(composed("model=tiny_sd3", "guidance=none")).model
    (tmp_path / "p.json").write_text(json.dumps(["a red circle", "a red cat"]))
    write_lists(tmp_path / "lists", {"color": ["a red circle"], "shape": ["a red bowl"], "texture": ["a circle"]})
    for bench, word in (
        (HPS21(prompt_list="own", path=str(tmp_path / "p.json"), score=()), "cat"),
        (CompBench(prompt_list="own", path=str(tmp_path / "lists"), score=()), "bowl"),
    ):
        with pytest.raises(UserError, match=rf"does not know the word '{word}'"):
            bench.check(model)
    model.check_prompts(["a red circle"])
    outline(composed("model=sd3", "guidance=none")).model.check_prompts(["anything at all"])
