"""Scenes of one or two objects, and what they are called: "a red striped circle left of a blue solid square"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2g.rng import Purpose, uniform
from s2g.worlds.shapes.render import layer
from s2g.worlds.shapes.world import (
    COLORS,
    EASY,
    FULL,
    GREY,
    JITTER,
    NUM_CLASSES,
    SHAPES,
    SIZE,
    TEXTURES,
    Ranges,
    Scenes,
    attributes_of,
    class_name,
    label_of,
)

RELATIONS = ("left of", "above")  # of the object that is named first
NONE = -1  # where there is no second object
FINE = 0.8  # textures of two objects are finer, as the objects are smaller
AWAY = 0.5  # two objects lie this far from the centre, on opposite sides; in half widths, like all lengths here


@dataclass(frozen=True)
class Places:
    """How far places, sizes and rotations of one object and of two spread."""

    one: Ranges
    two: Ranges  # its centre: along the line between them a quarter of it


WHOLE = Places(FULL, Ranges(center=0.22, radius=(0.36, 0.46), angle=0.40))
LARGE = Places(EASY, Ranges(center=0.14, radius=(0.41, 0.46), angle=0.20))


def held_out() -> np.ndarray:
    """Return the classes left out of training, [18]: one colour for each shape and texture, each colour three times."""
    shape, texture = np.meshgrid(np.arange(len(SHAPES)), np.arange(len(TEXTURES)), indexing="ij")
    return np.sort(label_of(shape, (shape + 2 * texture) % len(COLORS), texture).ravel())


SEEN = np.setdiff1d(np.arange(NUM_CLASSES), held_out())


@dataclass(frozen=True)
class Captioned:
    """B scenes by what is asked for: classes of the first and the second object, and the relation; NONE without a second."""

    first: np.ndarray  # [B] int
    second: np.ndarray  # [B] int
    relation: np.ndarray  # [B] int

    def captions(self) -> list[str]:
        """Describe the scenes."""
        return [caption(*(int(value) for value in row)) for row in zip(self.first, self.second, self.relation, strict=True)]


def caption(first: int, second: int = NONE, relation: int = NONE) -> str:
    """Describe one scene."""
    words = f"a {class_name(first)}"
    return words if second == NONE else f"{words} {RELATIONS[relation]} a {class_name(second)}"


def draw_classes(seed: int, indices: np.ndarray, one: float = 0.4, classes: np.ndarray = SEEN) -> Captioned:
    """Draw the content of scenes `indices` [B]: a share `one` has one object, the others two different ones of `classes`."""
    draws = uniform(Purpose.CAPTION, seed, indices, 4)
    kind, first, second, relation = draws.T
    first_index = (first * len(classes)).astype(np.int64)
    second_index = (first_index + 1 + (second * (len(classes) - 1)).astype(np.int64)) % len(classes)
    single = kind < one
    return Captioned(
        classes[first_index],
        np.where(single, NONE, classes[second_index]),
        np.where(single, NONE, (relation * len(RELATIONS)).astype(np.int64)),
    )


def render(captioned: Captioned, seed: int, indices: np.ndarray, places: Places = WHOLE, size: int = SIZE) -> np.ndarray:
    """Render images [B, 3, size, size] in [0, 1], float32; position, size, rotation and colour depend on (seed, index)."""
    draws = uniform(Purpose.SCENE, seed, indices, 16)
    single = captioned.second == NONE
    ground = (GREY[0] + (GREY[1] - GREY[0]) * draws[:, 14])[:, None, None, None]
    images = np.broadcast_to(ground, (len(indices), 3, size, size)).copy()
    for chosen, ranges in ((single, places.one), (~single, places.two)):
        for number, label in enumerate((captioned.first, captioned.second)):
            if chosen.any() and not (number and ranges is places.one):
                away = None if ranges is places.one else _away(captioned.relation[chosen], number)
                scenes = _scenes(label[chosen], draws[chosen, 7 * number : 7 * number + 7], ranges, away)
                cover, paint = layer(scenes, size, 1.0 if away is None else FINE)
                images[chosen] = images[chosen] * (1 - cover) + paint * cover
    return images.astype(np.float32)


def _away(relation: np.ndarray, number: int) -> np.ndarray:
    """Return the offset of the first or second object of two, [B, 2], for their relations."""
    horizontal = relation == RELATIONS.index("left of")
    signed = AWAY * (1 if number else -1)
    return np.stack([np.where(horizontal, signed, 0), np.where(horizontal, 0, signed)], axis=1)


def _scenes(labels: np.ndarray, draws: np.ndarray, ranges: Ranges, away: np.ndarray | None) -> Scenes:
    """Build one object of each of B scenes from 7 draws each."""
    attributes, signed = attributes_of(labels), 2 * draws - 1
    center = ranges.center * signed[:, :2]
    if away is not None:
        center = np.where(away != 0, away + center / 4, center)
    return Scenes(
        **attributes,
        center=center,
        radius=ranges.radius[0] + (ranges.radius[1] - ranges.radius[0]) * draws[:, 2],
        angle=ranges.angle * signed[:, 3],
        rgb=np.clip(np.array(list(COLORS.values()))[attributes["color"]] + JITTER * signed[:, 4:7], 0, 1),
        grey=np.zeros(len(labels)),  # the ground is painted once, under all objects
    )
