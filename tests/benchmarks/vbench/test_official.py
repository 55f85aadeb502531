"""The package's child script with a stand-in for the package: one result a dimension, kept, resumed; what is lacking."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from vbench_fake import SUITE, few, package  # noqa: F401  # fixtures

from s2g.benchmarks.vbench import official, prompts
from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import Suite
from s2g.errors import IsolatedError, UserError
from s2g.scoring.isolated.environment import find


def videos(folder: Path) -> dict[str, tuple[Path, str]]:
    """A file for every official name; what is in it does not matter to the stand-in."""
    folder.mkdir(exist_ok=True)
    found = {}
    for name, item in SUITE.files.items():
        file = folder / f"{item:06d}.mp4"
        file.write_bytes(name.encode())
        found[name] = (file, hashlib.sha256(name.encode()).hexdigest())
    return found


def asked(weights: Path) -> list[str]:
    return (weights / "asked").read_text().split()


@pytest.fixture
def suite(few: Path) -> Suite:  # noqa: F811
    return prompts.load(str(few))


def test_every_dimension_is_scored_and_read_back(package: Path, suite: Suite, tmp_path: Path) -> None:  # noqa: F811
    made = videos(tmp_path / "items")
    found = official.scores(made, suite, str(package), tmp_path / "judged")
    assert list(found) == list(DIMENSIONS) and asked(package) == list(DIMENSIONS)
    assert len(found["imaging_quality"].videos) == 10 and max(found["imaging_quality"].videos.values()) < 1
    assert len(found["color"].videos) == 4
    # Samples 2, 6, 10, … stand still; at most five are kept, in the order of names, under their own numbers again.
    still = [sample for prompt, sample in found["temporal_flickering"].videos if "frozen" in prompt]
    assert still == [10, 14, 18, 2, 22]
    assert official.scores(made, suite, str(package), tmp_path / "judged") == found and len(asked(package)) == 16


def test_it_goes_on_with_the_dimension_where_it_stopped(package: Path, suite: Suite, tmp_path: Path) -> None:  # noqa: F811
    made = videos(tmp_path / "items")
    (package / "stop").write_text("human_action")
    with pytest.raises(IsolatedError, match=r"out of memory(.|\n)*to resume from the values stored so far"):
        official.scores(made, suite, str(package), tmp_path / "judged")
    done = asked(package)
    assert done == list(DIMENSIONS)[: list(DIMENSIONS).index("human_action")]
    (package / "stop").unlink()
    (values,) = (tmp_path / "judged").glob("vbench-*/*/values.jsonl")
    whole = values.read_bytes()
    values.write_bytes(whole + b'{"key": "human_action ')  # a line that was not finished is no result
    official.scores(made, suite, str(package), tmp_path / "judged")
    assert asked(package) == list(DIMENSIONS)
    # Another video: its dimensions are asked about again, the others are not.
    name = "a bird-0.mp4"
    made[name] = (made[name][0], "0" * 64)
    official.scores(made, suite, str(package), tmp_path / "judged")
    assert asked(package)[16:] == ["object_class"]


def test_a_dimension_whose_videos_are_all_left_out_has_no_result(package: Path, suite: Suite, tmp_path: Path) -> None:  # noqa: F811
    made = videos(tmp_path / "items")
    some = {name: of for name, of in made.items() if "red bicycle-" not in name or name.endswith("-3.mp4")}
    some = {name: of for name, of in some.items() if name.rpartition("-")[0] not in suite.prompts_of(prompts.FLICKERING)}
    found = official.scores(some, suite, str(package), tmp_path / "judged")
    assert set(DIMENSIONS) - set(found) == {"color", "temporal_flickering"}


def test_without_a_gpu_that_alone_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not official.gpu_there()
    with pytest.raises(UserError, match=r"needs an NVIDIA GPU(.|\n)*bench\.score=\[\](.|\n)*s2g export") as caught:
        official.check("")
    assert "s2g env build" not in str(caught.value)
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: x)'\n")
    smi.chmod(0o755)
    assert official.gpu_there()
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        official.check(str(tmp_path))
    said = str(caught.value)
    assert (
        "s2g env build vbench" in said and "16 of 16 files are not there" in said and "amt-s.pth for motion_smoothness" in said
    )
    assert (
        "vocab.txt for scene, object_class, multiple_objects, color, spatial_relationship: https://huggingface.co/bert" in said
    )


def test_what_the_hub_keeps_is_asked_for_and_in_the_key(package: Path) -> None:  # noqa: F811
    official.check(str(package))
    known = official.identity(str(package))
    (vocabulary,) = (package / "huggingface" / "hub").rglob("vocab.txt")
    vocabulary.write_text("other")
    assert (other := official.identity(str(package))) != known
    vocabulary.with_name("model.safetensors").rename(vocabulary.with_name("pytorch_model.bin"))
    official.check(str(package))  # either form will do
    assert official.identity(str(package)) != other
    vocabulary.unlink()
    with pytest.raises(UserError, match=r"1 of 16 files are not there\n\s+huggingface\S*vocab\.txt for scene, object_class"):
        official.check(str(package))


def test_code_that_is_run_out_of_the_weights_is_in_the_key(package: Path) -> None:  # noqa: F811
    code = package / "dino_model" / "facebookresearch_dino_main"
    code.unlink()
    (code / "more").mkdir(parents=True)
    found = []
    for file, text in (("hubconf.py", "a = 1"), ("more/net.py", "b = 1"), ("more/net.py", "b = 2"), ("README.md", "c")):
        (code / file).write_text(text)
        found.append(official.identity(str(package))["weights"])
    assert len(set(found)) == 3 and found[3] == found[2]


def test_a_file_system_without_capitals_is_told_apart(monkeypatch: pytest.MonkeyPatch, package: Path, suite: Suite, tmp_path: Path) -> None:  # noqa: E501, F811  # fmt: skip
    assert official.tells_case_apart(tmp_path) and not list(tmp_path.glob(".s2g*"))
    monkeypatch.setattr(official, "tells_case_apart", lambda folder: False)
    with pytest.raises(UserError, match=r"fantasy landscape-0\.mp4 are one name"):
        official.scores(videos(tmp_path / "items"), suite, str(package), tmp_path / "judged")


def test_the_environment_is_pinned_and_its_script_imports_nothing_of_ours() -> None:
    pins = dict(line.split("==") for line in find("vbench").requirements)
    assert pins["vbench"] == "0.1.5" and pins["transformers"] == "4.33.2" and pins["numpy"].startswith("1.")
    assert pins["timm"] == "1.0.12" and "decord" in pins and "openai-clip" in pins and "pyiqa" in pins
    child = find("vbench").child.read_text()
    assert not re.search(r"^\s*(from|import) s2g\b", child, re.MULTILINE)
    assert {name for one in official.WEIGHTS for name in one.dimensions} == set(DIMENSIONS)
    assert f"weights of {len(DIMENSIONS)} dimensions, {len(official.WEIGHTS)} files" in official.DOWNLOADS[1]
