"""Training batches of real images: by seed and step alone, moved as they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.worlds.images import Images, Wobble, as_floats, batch
from s2g.worlds.two_class.digits import DIGITS, PAIR, digits, held_out, pair

RAMP = np.arange(4 * 4 * 4 * 1, dtype=np.uint8).reshape(4, 4, 4, 1)
FOUR = Images(RAMP, np.array([0, 1, 2, 1]), ("a", "b", "c"))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    wobble = Wobble(shift=0.4, angle=0.1, grow=0.05, flip=True)
    one, again = batch(FOUR, wobble, 1, 7, 5), batch(FOUR, wobble, 1, 7, 5)
    assert (one[0] == again[0]).all() and (one[1] == again[1]).all()
    assert one[0].shape == (5, 1, 4, 4) and one[0].dtype == np.float32
    for other in (batch(FOUR, wobble, 1, 8, 5), batch(FOUR, wobble, 2, 7, 5)):
        assert (one[0] != other[0]).any()


def test_without_wobble_images_are_what_they_are_and_each_is_drawn() -> None:
    images, label = batch(FOUR, Wobble(), 0, 0, 200)
    known = {picture.tobytes(): kind for picture, kind in zip(as_floats(RAMP), FOUR.label, strict=True)}
    assert [known[picture.tobytes()] for picture in images] == label.tolist()
    assert len({picture.tobytes() for picture in images}) == 4


def test_half_of_the_images_are_mirrored() -> None:
    images, _ = batch(FOUR, Wobble(flip=True), 0, 0, 400)
    rising = (np.diff(images[:, 0], axis=-1) > 0).all((1, 2))
    falling = (np.diff(images[:, 0], axis=-1) < 0).all((1, 2))
    assert (rising | falling).all() and 0.4 < rising.mean() < 0.6


def test_a_shift_moves_a_dot_by_at_most_as_much_and_keeps_its_mass() -> None:
    dot = np.zeros((1, 9, 9, 1), np.uint8)
    dot[0, 4, 4] = 255
    moved, _ = batch(Images(dot, np.array([0]), ("dot",)), Wobble(shift=0.4), 3, 0, 300)
    mass = (moved[:, 0] + 1) / 2
    assert mass.sum((1, 2)) == pytest.approx(1, abs=1e-5)
    centre = np.stack([(mass * axis).sum((1, 2)) for axis in np.mgrid[:9, :9]], 1) - 4
    assert abs(centre).max() <= 0.4 + 1e-5 and centre.std(0) == pytest.approx(0.4 / 3**0.5, rel=0.1)
    assert abs(centre.mean(0)).max() < 0.05


def test_a_turn_moves_along_the_circle_and_growing_moves_outwards() -> None:
    dot = np.zeros((1, 9, 9, 1), np.uint8)
    dot[0, 4, 7] = 255
    for wobble, sideways, outwards in ((Wobble(angle=0.3), 0.9, 0.1), (Wobble(grow=0.2), 0.0, 0.6)):
        moved, _ = batch(Images(dot, np.array([0]), ("dot",)), wobble, 3, 0, 300)
        mass = (moved[:, 0] + 1) / 2
        rows, columns = ((mass * axis).sum((1, 2)) / mass.sum((1, 2)) for axis in np.mgrid[:9, :9])
        assert abs(rows - 4).max() == pytest.approx(sideways, abs=0.15)
        assert abs(columns - 7).max() == pytest.approx(outwards, abs=0.15)


def test_what_touches_the_border_stays_there() -> None:
    white = np.full((1, 8, 8, 1), 255, np.uint8)
    moved, _ = batch(Images(white, np.array([0]), ("white",)), Wobble(shift=0.2), 0, 0, 50)
    assert ((moved + 1) / 2).min() >= 0.8**2 - 1e-6


def test_classes_are_numbered_in_the_order_asked_for() -> None:
    some = FOUR.only(("c", "b"))
    assert some.label.tolist() == [1, 0, 1] and some.names == ("c", "b")
    assert (some.pixels == RAMP[[1, 2, 3]]).all()


def test_the_digits_are_scikit_learns() -> None:
    whole, two = digits(), pair()
    assert whole.pixels.shape == (1797, 8, 8, 1) and whole.pixels.max() == 255 and whole.names == DIGITS
    assert PAIR == ("1", "8") and np.bincount(two.label).tolist() == [182, 174]
    assert (two.pixels[two.label == 1] == whole.pixels[whole.label == 8]).all()


def test_every_fifth_image_of_a_class_is_held_out() -> None:
    two = pair()
    kept = held_out(two)
    assert [int(kept[two.label == label].sum()) for label in (0, 1)] == [182 // 5, 174 // 5]
    assert np.flatnonzero(kept[two.label == 1])[:2].tolist() == [4, 9]


def test_the_pair_is_the_one_that_neighbours_confuse_most() -> None:
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    whole = digits()
    pixels = whole.pixels.reshape(len(whole), -1).astype(float)
    read = cross_val_predict(KNeighborsClassifier(5), pixels, whole.label, cv=5)
    table = np.zeros((10, 10), int)
    np.add.at(table, (whole.label, read), 1)
    both = np.triu(table + table.T, 1)
    assert tuple(DIGITS[i] for i in np.unravel_index(both.argmax(), both.shape)) == PAIR
    assert both.max() == 13
