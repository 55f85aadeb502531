"""A study made from stored runs: the same prompts and noise, pictures to the bit, and no name of a method where people look."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies_made import METHODS, level, method_in, picture, prompt, run_of, store_pictures, stored_runs, study_of

from s2g.cli.commands.study import new
from s2g.errors import UserError
from s2g.store.store import Store
from s2g.store.video import decoded
from s2g.study.folder import Study
from s2g.study.material import check_media, read_material
from s2g.study.new import new_study, scrambled
from s2g.study.order import pages_of, shuffled
from s2g.study.specification import read_specification


def test_pictures_are_the_stored_ones_to_the_bit_under_names_that_say_nothing(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=4) as study:
        material, media = study.material, study.folder / "media"
        assert [method.name for method in material.methods] == list(METHODS) and material.fps == 0 and material.pixelated
        names = {path.name for path in media.iterdir()}
        assert names == set(material.sha256) and len(names) == 4 * 5
        assert all(len(name) == 36 and set(name.removesuffix(".png")) <= set("0123456789abcdef") for name in names)
        for trial in material.trials:
            assert trial.prompt == prompt(trial.item)
            for number, shot in enumerate(trial.shots):
                with Image.open(media / f"{shot}.png") as image:
                    assert not image.info  # no text of what made it
                    assert (np.asarray(image) == picture(number, trial.item, False)).all()
        # In the folder's own order the files of a method do not stand together.
        order = [method_in((media / name).read_bytes(), material.methods) for name in sorted(names)]
        assert order != sorted(order, key=METHODS.index) and Counter(order) == dict.fromkeys(METHODS, 4)


def test_videos_are_shown_as_they_were_made(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=2, video=True) as study:
        material = study.material
        assert material.fps == 8 and material.what == "video"
        for trial in material.trials:
            for number, shot in enumerate(trial.shots):
                frames = decoded((study.folder / "media" / f"{shot}.mp4").read_bytes())
                truth = picture(number, trial.item, True)
                factor = frames.shape[1] // 16
                small = frames[:, factor // 2 :: factor, factor // 2 :: factor].astype(int)
                assert len(frames) == 8 and np.abs(small - truth).mean() < 6
                with Image.open(study.folder / "media" / f"{shot}.png") as poster:
                    assert (np.asarray(poster) == truth[4]).all()


def test_secrets_are_for_their_owner(tmp_path: Path) -> None:
    with study_of(tmp_path) as study:
        for name in ("secrets.json", "answers.sqlite"):
            assert stat.S_IMODE(os.stat(study.folder / name).st_mode) == 0o600
        everybody = study.answers.everybody()
        assert [one.number for one in everybody] == [1, 2, 3] and len({one.token for one in everybody}) == 3
        assert all(len(one.token) == 32 for one in everybody) and len(study.admin) == 32
        assert study.admin not in {one.token for one in everybody}


def test_orders_are_random_stored_and_a_function_of_seed_and_participant(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=5, people=40) as study:
        material, first, trials = study.material, Counter(), []
        for person in study.answers.everybody():
            stored = [study.answers.page(person.number, place) for place in range(1, 6)]
            assert [(page.trial, page.shots) for page in stored if page] == pages_of(material, person.number)
            trials.append(tuple(page.trial for page in stored if page))
            assert sorted(trials[-1]) == list(range(5))
            for page in stored:
                assert page is not None and sorted(page.shots) == sorted(material.trials[page.trial].shots)
                first[material.method_of[page.shots[0]]] += 1
        assert len(set(trials)) > 30  # of 120 orders
        assert sum((count - 40) ** 2 / 40 for count in first.values()) < 18.5  # chi-squared of 4 degrees of freedom, 0.1 %
    assert shuffled(5, 0, 1) == [3, 1, 4, 0, 2]  # must never change: studies could not be made again


def test_prompts_are_drawn_from_those_that_differ(tmp_path: Path) -> None:
    runs = [store_pictures(run_of(method, 4, False, "num=8"), tmp_path, at) for at, method in enumerate(("cfg", "s2"))]
    with new_study(tmp_path / "all", runs, str(tmp_path), 4, 1) as study:
        assert len({trial.prompt for trial in study.material.trials}) == 4
    with pytest.raises(UserError, match=r"--prompts: 5\n.*1 to 4: the different prompts among the first 8 items[^\n]*\Z"):
        new_study(tmp_path / "more", runs, str(tmp_path), 5, 1)
    with pytest.raises(UserError, match="--prompts: 4, and 1 more for --checks"):
        new_study(tmp_path / "more", runs, str(tmp_path), 4, 1, checks=1)
    short = [run_of("s2", 4, False, "num=8"), run_of("cfg", 4, False, "num=2")]
    with pytest.raises(UserError, match=r"do: python run.py [^;]*guidance=cfg[^;]* num=3\Z"):  # of the run that is short, alone
        new_study(tmp_path / "more", short, str(tmp_path), 3, 1)
    assert not (tmp_path / "more").exists() and not list(tmp_path.glob(".more*"))
    drawn = set()
    for seed in range(4):
        with new_study(tmp_path / str(seed), runs, str(tmp_path), 2, 1, seed=seed) as study:
            drawn.add(tuple(trial.item for trial in study.material.trials))
    assert len(drawn) > 1


def test_attention_checks_have_one_whole_picture(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=2, checks=3) as study:
        checks = [trial for trial in study.material.trials if trial.whole is not None]
        assert len(checks) == 3 and len(study.material.trials) == 5
        assert not {shot for trial in checks for shot in trial.shots} & set(study.material.method_of)
        for trial in checks:
            for number, shot in enumerate(trial.shots):
                pixels = np.asarray(Image.open(study.folder / "media" / f"{shot}.png"))
                truth = picture(number, trial.item, False)
                assert (pixels == truth).all() == (number == trial.whole)
                assert sorted(pixels.reshape(-1, 3).tolist()) == sorted(truth.reshape(-1, 3).tolist())


def test_a_video_is_scrambled_alike_in_every_frame() -> None:
    pixels = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    found = scrambled(pixels, 0, 7, 1).astype(int)
    assert (found[1] - found[0] == 72).all() and (found != pixels).any()


def test_what_cannot_be_compared_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    one, other = stored_runs(tmp_path, 3, ("cfg", "s2"))
    seeded = store_pictures(run_of("s2", 3, False, "seed=1"), tmp_path, 1)
    texts = store_pictures(run_of("s2", 4, False), tmp_path, 1)
    empty = run_of("apg", 3, False)
    Store.of(empty, tmp_path).begin(empty, True)
    for runs, words in (
        ([one], "1 runs"),
        ([one, seeded], r"not the same prompts and noise as tiny_sd3-cfg-\w+ \(seed 1, not 0\)"),
        ([one, texts], "other prompts"),
        ([one, empty], "units of the chosen items are missing"),
    ):
        with pytest.raises(UserError, match=words):
            new_study(tmp_path / "study", runs, str(tmp_path), 2, 1)
    new_study(tmp_path / "study", [one, other], str(tmp_path), 2, 1).answers.close()
    with pytest.raises(UserError, match="is there already"):
        new_study(tmp_path / "study", [one, other], str(tmp_path), 2, 1)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("tiny")) == ["study"]


def test_the_command_names_runs_as_other_commands_do_and_after_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = stored_runs(tmp_path / "runs", 3, ("cfg", "s2"))
    new([runs[0].key, runs[1].key], "runs", 2, 1, 0, 0, None, Path("a"))
    new(["tiny_sd3-s2"], "tiny_sd3-cfg", 2, 1, 0, 0, None, Path("b"))  # --runs tiny_sd3-cfg tiny_sd3-s2
    for name in "ab":
        assert [method.run for method in read_material(Path(name)).methods] == [run.key for run in runs]
    assert "a: cfg, s2; 2 prompts, drawn with seed 0 from the first 3 items" in capsys.readouterr().out


def test_a_picture_that_is_not_what_was_written_is_found(tmp_path: Path) -> None:
    with study_of(tmp_path) as study:
        check_media(study.folder, study.material)
        path = study.folder / "media" / next(iter(study.material.sha256))
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(UserError, match="is not what was written"):
            check_media(study.folder, study.material)


SPEC = """
title: A
instructions: B
thanks: C
criteria:
  best: {label: Best, question: "Which is best?"}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SPEC + "choice: many", r"own.yaml:7: choice = many: there is no 'many'"),
        (SPEC + "least_seconds: -1", r"own.yaml:7: least_seconds = -1"),
        (SPEC + "criterium: 3", "own.yaml:7: .*criterium"),
        (SPEC.replace("best:", "overall:"), "own.yaml:6: criteria.overall"),
        (SPEC.replace("title: A", ""), "title: missing"),
        (SPEC.replace("question", "query"), "query"),
    ],
)
def test_a_mistake_in_the_yaml_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        read_specification(tmp_path / "own.yaml")


def test_questions_are_fixed_once_somebody_has_answered(tmp_path: Path) -> None:
    with study_of(tmp_path, text=SPEC) as study:
        folder = study.folder
        (folder / "study.yaml").write_text(SPEC + "choice: one\n")
    with Study.open(folder) as study:
        page = study.answers.page(1, 1)
        assert page is not None and not study.spec.several
        study.answers.vote(1, 1, {"best": [page.shots[0]]}, 1.0)
    (folder / "study.yaml").write_text(SPEC.replace("title: A", "title: Another") + "choice: one\n")
    Study.open(folder).answers.close()  # texts may change
    (folder / "study.yaml").write_text(SPEC)
    with pytest.raises(UserError, match="choice several, criteria best; 1 answers were given under choice one"):
        Study.open(folder)


def test_a_folder_that_is_no_study_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study"):
        Study.open(tmp_path)
    (tmp_path / "material.json").write_text(json.dumps({"schema": 7}))
    with pytest.raises(UserError, match="another version"):
        Study.open(tmp_path)
    assert level(0) == 40
