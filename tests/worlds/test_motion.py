"""Videos of the built-in world: true to what is asked for, by seed and index; what is held out; what the bench asks for."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.errors import UserError
from s2g.metrics.video_motion import jitter, paths
from s2g.worlds.shapes.motion import (
    LARGE,
    MOTIONS,
    NUM_KINDS,
    SEEN,
    SIDE,
    STILL,
    TOWARDS,
    WHOLE,
    Spread,
    attributes_of,
    caption,
    draw_kinds,
    held_out,
    kind_of,
    render,
)
from s2g.worlds.shapes.video_prompts import COUNT, ROUND, prompt_kinds
from s2g.worlds.shapes.vocabulary import PAD, START, VIDEOS
from s2g.worlds.shapes.world import TRAIN_SEED


def test_every_value_is_held_out_equally_often_and_none_is_unknown() -> None:
    of = attributes_of(held_out())
    for name, times in {"shape": 5, "color": 5, "motion": 6}.items():
        assert set(np.bincount(of[name])) == {times}
    assert sorted([*held_out(), *SEEN]) == list(range(NUM_KINDS))
    assert set(draw_kinds(TRAIN_SEED, np.arange(4000))) == set(SEEN)


def test_kinds_are_their_attributes() -> None:
    kinds = np.arange(NUM_KINDS)
    of = attributes_of(kinds)
    np.testing.assert_array_equal(kind_of(of["shape"], of["color"], of["motion"]), kinds)
    assert len({caption(int(kind)) for kind in kinds}) == NUM_KINDS
    assert caption(int(kind_of(np.array(5), np.array(2), np.array(3)))) == "a blue cross moving down"


def test_a_video_belongs_to_its_seed_and_index() -> None:
    together = render(prompt_kinds()[:8], 5, np.arange(100, 108))
    np.testing.assert_array_equal(render(prompt_kinds()[3:4], 5, np.array([103]))[0], together[3])
    assert not np.array_equal(render(prompt_kinds()[:8], 6, np.arange(100, 108)), together)
    assert together.shape == (8, 3, 8, SIDE, SIDE) and together.dtype == np.float32


@pytest.mark.parametrize("spread", [WHOLE, LARGE])
@pytest.mark.parametrize("motion", range(len(MOTIONS)))
def test_an_object_moves_as_the_caption_says(motion: int, spread: Spread) -> None:
    """Circles keep their middle where they are, so the path is the scene's own."""
    kinds = kind_of(np.zeros(48, int), np.arange(48) % 6, np.full(48, motion))
    path = paths((render(kinds, 1, np.arange(48), spread) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 4, 1))
    way = (path[:, -1] - path[:, 0]) / (SIDE / 2)
    along, across = way @ TOWARDS[motion], way - np.outer(way @ TOWARDS[motion], TOWARDS[motion])
    assert np.abs(across).max() < 0.02
    if motion != STILL:
        assert along.min() > spread.way[0] - 0.05 and along.max() < spread.way[1] + 0.02
    inside = np.abs(path - 7.5).max() / (SIDE / 2)
    assert inside < max(spread.way[1] + spread.center / 4, spread.center) + 0.02
    assert jitter(path).max() < 0.2


def test_what_is_asked_for_is_every_kind_once_and_its_beginnings_are_balanced() -> None:
    assert sorted(prompt_kinds()) == list(range(NUM_KINDS)) and COUNT == NUM_KINDS
    for first in range(0, COUNT, ROUND):
        part = prompt_kinds()[first : first + ROUND]
        of = attributes_of(part)
        assert set(np.bincount(of["shape"])) == {5} and set(np.bincount(of["motion"])) == {6}
        assert np.isin(part, held_out()).sum() == 5


def test_captions_as_tokens() -> None:
    numbers = VIDEOS.tokens("A red circle, moving left.")
    assert len(numbers) == VIDEOS.length == 8 and numbers[0] == START and numbers[6:] == [PAD, PAD]
    assert len({tuple(VIDEOS.tokens(caption(int(kind)))) for kind in prompt_kinds()}) == NUM_KINDS
    with pytest.raises(UserError, match="does not know the word 'striped'"):
        VIDEOS.tokens("a red striped circle moving left")
    assert VIDEOS.cut_off("a red circle moving left left left left right") == "left right"
