"""What is said beside scores of HPSv2 and T2I-CompBench: by what is scored, of every file that is not known to be official."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compbench_fake import fakes  # noqa: F401  # a fixture

from s2g.benchmarks.compbench import phrases
from s2g.benchmarks.compbench.bench import CompBench
from s2g.benchmarks.hps import published
from s2g.benchmarks.hps.bench import HPS21
from s2g.benchmarks.hps.prompts import STYLES
from s2g.cli.run import main
from s2g.io.hashing import content_hash
from s2g.scoring.comparability import not_comparable

VARIANT = "Q-Align, variant scorer: compare only with the same"


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def wheel(cache: Path) -> Path:
    """What `s2g fetch compbench` leaves of spaCy's model."""
    (cache / "compbench").mkdir(parents=True)
    (made := cache / "compbench" / phrases.MODEL).write_bytes(b"wheel")
    (cache / "compbench" / f"{phrases.MODEL}.sha256").write_text(f"{content_hash(made)}\n")
    return made


def test_kinds_with_the_same_reasons_share_a_line() -> None:
    assert not_comparable([], {"A": [], "B": []}) == []
    assert not_comparable(["few"], {"A": [], "B": []}) == ["not comparable with published A and B numbers: few"]
    assert not_comparable(["few"], {"A": ["other"], "B": []}) == [
        *("not comparable with published A numbers: few; other", "not comparable with published B numbers: few")
    ]


def test_the_whole_official_set_of_compbench_has_no_label(wheel: Path) -> None:
    assert CompBench().remarks(9000) == []
    (said,) = CompBench(prompt_list="before").remarks(9000)
    assert said.startswith("the list of colours from before 2025-09-03")
    assert CompBench().remarks(900) == [
        "not comparable with published T2I-CompBench numbers: 1 images of a prompt instead of 10 (900 of 9,000)"
    ]
    assert CompBench(score=("qalign",)).remarks(9000) == [VARIANT]


def test_every_file_of_compbench_that_is_not_known_is_named(wheel: Path, tmp_path: Path) -> None:
    beginning = "not comparable with published T2I-CompBench numbers: "
    (own := tmp_path / "own").mkdir()
    assert CompBench(blip=str(own)).remarks(9000) == [f"{beginning}BLIP is not known to be Salesforce/blip-vqa-capfilt-large"]
    unknown = f"{beginning}spaCy's model is not known to be en_core_web_sm 3.5.0 (s2g fetch compbench notes its sha256)"
    (own / "config.cfg").write_text("")
    assert CompBench(spacy=str(own)).remarks(9000) == [unknown]
    wheel.write_bytes(b"another")
    assert CompBench().remarks(9000) == [unknown]
    wheel.unlink()
    assert CompBench().remarks(9000) == [unknown]


def test_qalign_is_labelled_by_its_weights_its_part_and_its_prompt(wheel: Path, tmp_path: Path) -> None:
    other = HPS21(score=("qalign",), qalign=str(tmp_path), qalign_variant="pyiqa", prompt_list="own")
    assert other.remarks(3200) == [
        "not comparable with published Q-Align (HPS) numbers: prompts of one's own; "
        "Q-Align's weights are not known to be q-future/one-align",
        "Q-Align, variant pyiqa: compare only with the same",
    ]
    part = CompBench(categories=("color",), score=("blip", "qalign"))
    assert part.remarks(3000) == [
        "not comparable with published Q-Align (T2I-CompBench) numbers: it is over color alone",
        VARIANT,
    ]


def test_four_lists_of_eight_hundred_are_not_official_until_they_are_recorded() -> None:
    words = "prompts not known to be the official ones (s2g fetch hps records them)"
    bench = HPS21(score=("qalign",))
    assert bench.remarks(3200) == [f"not comparable with published Q-Align (HPS) numbers: {words}", VARIANT]
    published.record("prompts", {style: {} for style in STYLES[:3]})
    assert words in bench.remarks(3200)[0]
    published.record("prompts", {style: {} for style in STYLES})
    assert bench.remarks(3200) == [VARIANT]


def test_a_checkpoint_that_is_not_here_is_said_to_be_unknown() -> None:
    published.record("prompts", {style: {} for style in STYLES})
    said = HPS21(weights="/none/HPS_v2.1_compressed.pt", score=("hps", "qalign")).remarks(3200)
    assert said[0].startswith("not comparable with published HPSv2.1 numbers: the checkpoint is not known") and len(said) == 3


def test_images_that_are_not_scored_have_no_label_and_end_well(
    fakes: Callable[..., tuple[str, ...]],  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    typed = fakes("num=4", "bench.score=[]", "executor.workers=1", "executor.device=cpu", f"runs={tmp_path / 'runs'}")
    assert main(typed) == 0
    said = capfd.readouterr()
    assert "4 items made now" in said.out and "not comparable" not in said.out and "Traceback" not in said.err
    assert CompBench(score=()).remarks(4, {}) == HPS21(score=()).remarks(4, {}) == []
    assert CompBench(score=("blip",)).remarks(4, {"here": np.ones(4, bool)})
