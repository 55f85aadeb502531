"""Scenes of one and two objects: true to what is asked for, by seed and index; captions, tokens and what was held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2g.errors import UserError
from s2g.worlds.shapes.captions import NONE, RELATIONS, SEEN, WHOLE, Captioned, caption, draw_classes, held_out, render
from s2g.worlds.shapes.prompts import COUNT, EIGHT, KIND, KIND_OF, prompt_classes
from s2g.worlds.shapes.text_encoder import WordEncoder, WordText
from s2g.worlds.shapes.vocabulary import PAD, START, STILLS
from s2g.worlds.shapes.world import COLORS, NUM_CLASSES, TRAIN_SEED, attributes_of, label_of


def test_every_attribute_is_held_out_equally_often_and_none_is_unknown() -> None:
    of = attributes_of(held_out())
    assert np.bincount(of["shape"]).tolist() == [3] * 6 and np.bincount(of["color"]).tolist() == [3] * 6
    assert np.bincount(of["texture"]).tolist() == [6] * 3
    for values in attributes_of(SEEN).values():
        assert np.bincount(values).min() >= 15
    assert sorted([*held_out(), *SEEN]) == list(range(NUM_CLASSES))


def test_training_never_shows_what_is_held_out() -> None:
    of = draw_classes(TRAIN_SEED, np.arange(4000))
    shown = set(of.first) | set(of.second) - {NONE}
    assert shown == set(SEEN)
    assert (of.first != of.second).all() and ((of.second == NONE) == (of.relation == NONE)).all()
    assert 0.38 < (of.second == NONE).mean() < 0.42


def test_a_scene_belongs_to_its_seed_and_index() -> None:
    of = Captioned(*prompt_classes()[:8].T)
    together = render(of, 5, np.arange(100, 108))
    alone = render(Captioned(*prompt_classes()[3:4].T), 5, np.array([103]))
    np.testing.assert_array_equal(alone[0], together[3])
    assert not np.array_equal(render(of, 6, np.arange(100, 108)), together)


@pytest.mark.parametrize("relation", range(len(RELATIONS)))
def test_objects_stand_where_the_caption_puts_them(relation: int) -> None:
    """The centroid of what is red and of what is blue, in half widths."""
    red, blue = (label_of(np.array(0), np.array(list(COLORS).index(name)), np.array(0)) for name in ("red", "blue"))
    many = 64
    of = Captioned(np.full(many, red), np.full(many, blue), np.full(many, relation))
    images = render(of, 1, np.arange(many))
    axis = (np.arange(32) + 0.5) / 16 - 1
    for channel, sign in ((0, -1), (2, 1)):  # the first is on the negative side
        excess = (images[:, channel] - images[:, [c for c in range(3) if c != channel]].max(1)).clip(0.1) - 0.1
        total = excess.sum((1, 2))
        x, y = (excess.sum(1) * axis).sum(1) / total, (excess.sum(2) * axis).sum(1) / total
        along, across = (x, y) if RELATIONS[relation] == "left of" else (y, x)
        assert (np.abs(sign * along - 0.5) < WHOLE.two.center / 4 + 0.03).all()
        assert (np.abs(across) < WHOLE.two.center + 0.03).all()


def test_captions_and_tokens() -> None:
    first, second = label_of(np.array([0, 1]), np.array([0, 2]), np.array([1, 0]))
    words = caption(int(first), int(second), 0)
    assert words == "a red striped circle left of a blue solid square"
    numbers = STILLS.tokens(words)
    assert len(numbers) == STILLS.length and numbers[0] == START and numbers[-1] == PAD
    assert [STILLS.words[number - 2] for number in numbers[1:11]] == words.split()
    assert STILLS.tokens("A red, striped circle.") == STILLS.tokens("a red striped circle")
    assert STILLS.tokens("") == [START] + [PAD] * (STILLS.length - 1)
    assert all(len(line.split()) < STILLS.length for line in Captioned(*prompt_classes().T).captions())


def test_a_word_it_does_not_know_is_named() -> None:
    with pytest.raises(UserError, match=r"'dog'.*\n?.*red") as caught:
        STILLS.tokens("a red striped dog")
    assert "circle" in str(caught.value)


def test_what_is_cut_off_is_told() -> None:
    long = " ".join(["a red striped circle"] * 4)
    assert len(STILLS.tokens(long)) == STILLS.length and STILLS.cut_off(long) == "circle a red striped circle"
    assert STILLS.cut_off("a red striped circle") == ""
    close = "a red,striped,circle left of a blue,solid,square above"  # words are counted as they are read
    assert STILLS.tokens(close)[-1] != PAD and STILLS.cut_off(close) == "" and STILLS.cut_off(close + ",a") == "a"
    assert STILLS.cut_off("a , red , striped , circle , left of a") == ""


def test_the_text_encoder_reads_order() -> None:
    torch.manual_seed(0)
    encoder = WordText(WordEncoder().eval())
    swapped = ["a red solid circle above a blue solid ring", "a blue solid ring above a red solid circle"]
    with torch.no_grad():
        words, pooled = encoder.encode(swapped)
        again = encoder.encode(swapped[:1])
    assert words.shape == (2, STILLS.length, 96) and pooled.shape == (2, 96)
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-3)
    torch.testing.assert_close(again[1][0], pooled[0])


def test_eights_have_the_same_make_up() -> None:
    rows, held = prompt_classes(), set(held_out())
    assert rows.shape == (COUNT, 3) and COUNT % len(EIGHT) == 0
    for number, (first, second, relation) in enumerate(rows):
        kind = KIND_OF[number % len(EIGHT)]
        assert (second == NONE) == (relation == NONE) == (kind in (KIND["one"], KIND["one_held_out"]))
        assert first != second
        assert len({first, second} & held) == (kind in (KIND["one_held_out"], KIND["two_held_out"]))
    named = np.bincount(rows[:, :2][rows[:, :2] != NONE], minlength=NUM_CLASSES)
    assert named.min() >= 3 and named[SEEN].max() - named[SEEN].min() <= 2
    assert 0.4 < rows[:, 2][rows[:, 2] != NONE].mean() < 0.6  # as many beside as above each other
