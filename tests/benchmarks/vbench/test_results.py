"""*_eval_results.json: what it says, and every way in which it is known to be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vbench_fake import SUITE, VIDEOS, few, official_results  # noqa: F401  # a fixture

from s2g.benchmarks.vbench import coverage
from s2g.benchmarks.vbench.results import parse, read_files
from s2g.errors import UserError

WHOLE = official_results()


def test_booleans_hundreds_and_blanks_are_brought_to_one_form() -> None:
    content = {name.replace("_", " "): value for name, value in WHOLE.items()}
    found = parse(content, "file")
    assert list(found) == list(WHOLE)
    imaging, moving = found["imaging_quality"], found["dynamic_degree"]
    assert imaging.value == pytest.approx(WHOLE["imaging_quality"][0]) and max(imaging.videos.values()) < 1
    assert abs(imaging.apart) < 1e-9 and set(moving.videos.values()) <= {0.0, 1.0} and abs(moving.apart) < 1e-9
    assert (
        found["temporal_style"].videos["A slo-mo of a well-known square.", 4] == WHOLE["temporal_style"][1][4]["video_results"]
    )
    assert parse({"scene": 0.5}, "file")["scene"].videos == {}  # a value alone, as leaderboards have it


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("subject_consistency", [96.5, []], r"subject_consistency = 96\.5: it looks like percent(.|\n)*write 0\.965"),
        ("imaging_quality", [67.65, []], r"it looks like percent(.|\n)*its videos alone are 0 to 100"),
        ("overall_consistency", [323.0, []], r"far from any value(.|\n)*weights and vocabulary"),
        ("scene", [-0.1, []], "far from any value"),
        ("scene", [True, []], "no number"),
        ("scene", [None, []], "no number"),
        ("scene", [float("nan"), []], "no number"),
        ("scene", [], "no number"),
        ("scene", [10**400, []], "no number"),
        ("scene", [10**5000, []], "very many digits: no number"),
        ("scene", [0.5, [{"video_path": "a bird-0.mp4", "video_results": 10**400}]], "a number"),
        ("scene", [0.5, [{"video_path": f"a bird-{'1' * 5000}.mp4", "video_results": 0.5}]], "no official name"),
        ("background_consistency", [1.01, []], "looks like percent"),
        ("object_class", [1.0009766, []], "looks like percent"),
        ("scene", [0.5, {"a": 1}], "no list of videos"),
        ("subject_consistancy", [0.9, []], r"Did you mean 'subject_consistency'"),
        ("scene", [0.5, [{"video_path": "a bird-0.mp4", "video_results": True}]], "is True"),
        ("scene", [0.5, [{"video_path": "a bird-0.mp4", "video_results": 50.0}]], "looks like percent"),
        ("scene", [0.5, [{"video_path": "a bird-0.mp4"}]], "a record without"),
        ("scene", [0.5, [{"video_path": "a bird.mp4", "video_results": 0.5}]], "no official name"),
        ("scene", [0.5, [{"video_path": "a bird-0.mp4", "video_results": 0.5}] * 2], "two values of video a bird-0.mp4"),
        ("dynamic_degree", [0.5, [{"video_path": "a bird-0.mp4", "video_results": 0.5}]], "true and false"),
        ("imaging_quality", [0.6, [{"video_path": "a bird-0.mp4", "video_results": 0.6}]], "0 to 100"),
    ],
)
def test_every_trap_is_named(name: str, given: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse({name: given}, "file")


def test_a_cosine_in_half_precision_may_be_a_little_more_than_one() -> None:
    record = [{"video_path": "a bird-0.mp4", "video_results": 1.0009766}]
    for name in ("background_consistency", "subject_consistency", "appearance_style"):
        (one,) = parse({name: [1.0009766, record]}, "file").values()
        assert one.value == 1.0009766 == max(one.videos.values())


def test_all_that_is_wrong_is_said_at_once_and_twice_is_wrong() -> None:
    with pytest.raises(UserError, match=r"2 things(.|\n)*scene(.|\n)*color"):
        parse({"scene": [50, []], "color": [None, []]}, "file")
    with pytest.raises(UserError, match=r"scene stands there twice, once as 'Scene'"):
        parse({"scene": [0.5, []], "Scene": [0.5, []]}, "file")


def test_files_complete_each_other_and_must_not_differ(tmp_path: Path) -> None:
    for at, names in enumerate((list(WHOLE)[:9], list(WHOLE)[8:])):
        (tmp_path / f"{at}_eval_results.json").write_text(json.dumps({name: WHOLE[name] for name in names}))
    assert list(read_files([tmp_path])) == list(WHOLE)
    (tmp_path / "1_eval_results.json").write_text(json.dumps({list(WHOLE)[8]: [0.01, []], "scene": [0.5, []]}))
    with pytest.raises(UserError, match=r"multiple_objects is 0\.0100, and 0\."):
        read_files([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \*_eval_results\.json"):
        read_files([(tmp_path / "empty")])
    twice = '{"scene": [0.5, []], "scene": [0.6, []]}'
    for name, text in (
        ("twice", twice),
        ("deep", "[" * 100_000),
        ("gone", None),
        ("broken", "{"),
        ("list", "[]"),
        ("none", "{}"),
    ):
        if text:
            (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=r"cannot be read|not JSON|no dimensions|nested too deep"):
            read_files([tmp_path / name])
    (tmp_path / "._0_eval_results.json").write_bytes(b"\0\5\26\7")  # what macOS leaves
    (tmp_path / "1_eval_results.json").unlink()
    assert read_files([tmp_path])
    with pytest.raises(UserError, match="'scene' stands there twice"):
        read_files([tmp_path / "twice"])


def test_a_mean_that_is_not_of_its_videos_is_said() -> None:
    value, records = WHOLE["subject_consistency"]
    (one,) = parse({"subject_consistency": [value + 0.01, records]}, "file").values()
    assert "is not the mean of its 5 videos' values" in one.remark


def test_videos_that_lack_or_are_of_no_prompt_are_named() -> None:
    wanted = coverage.wanted_of(SUITE, VIDEOS)
    assert len(wanted) == 12 * 5
    scored = parse(WHOLE, "file")
    assert not coverage.lacking(SUITE, scored, wanted) and not coverage.left_out(SUITE, scored, wanted)
    value, records = WHOLE["object_class"]
    less = parse({**WHOLE, "object_class": [value, records[:3]], "color": [0.2, WHOLE["color"][1][:2]]}, "file")
    assert coverage.lacking(SUITE, less, wanted) == ["object_class: 2 videos without a value: a bird-3.mp4, a bird-4.mp4"]
    (said,) = coverage.left_out(SUITE, less, wanted)
    assert said == "color is of 2 videos, not 5: those that show the object; 0 of 1 prompts have none"
    wrong = [{"video_path": "a birb-0.mp4", "video_results": 0.5}]
    with pytest.raises(UserError, match=r"there is no 'a birb'\. Did you mean 'a bird'"):
        coverage.lacking(SUITE, parse({"object_class": [0.5, wrong]}, "file"), wanted)
    late = [{"video_path": "a bird-5.mp4", "video_results": 0.5}]
    with pytest.raises(UserError, match="samples 0 to 4 alone"):
        coverage.lacking(SUITE, parse({"object_class": [0.5, late]}, "file"), wanted)


def test_a_prompt_that_is_listed_twice_has_values_at_the_entry_that_asks_for_them(few: Path) -> None:  # noqa: F811
    arrays = coverage.arrays_of(SUITE, parse(WHOLE, "file"), VIDEOS)
    painted = [item for item, (at, _) in enumerate(SUITE.items) if at in (8, 11)]
    for item in painted:
        first = SUITE.items[item][0] == 8
        assert (arrays["appearance_style"][item] >= 0) == first and (arrays["imaging_quality"][item] >= 0) == (not first)
