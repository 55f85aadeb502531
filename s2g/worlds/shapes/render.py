"""Scenes to pixels: signed distances, anti-aliased over one pixel, vectorised over the batch."""

from __future__ import annotations

import numpy as np

from s2g.worlds.shapes.world import SHAPES, SIZE, TEXTURES, Scenes

STRIPE = 0.42  # period of stripes, in half widths: 6.7 pixels
CHECK = 0.56  # period of checks: two cells of 4.5 pixels
SHADE = 0.28  # the second tone of a texture is the colour at this brightness


def render(scenes: Scenes, size: int = SIZE) -> np.ndarray:
    """Render images [B, 3, size, size] in [0, 1], float32."""
    cover, paint = layer(scenes, size)
    return (scenes.grey[:, None, None, None] * (1 - cover) + paint * cover).astype(np.float32)


def layer(scenes: Scenes, size: int = SIZE, fine: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage of each pixel by an object [B, 1, size, size], and its paint [B, 3, size, size].

    fine: how wide stripes and checks are, as a multiple of their usual width.
    """
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    pixel = 2 / size
    cos, sin = np.cos(scenes.angle)[:, None, None], np.sin(scenes.angle)[:, None, None]
    x = axis[None, None, :] - scenes.center[:, 0, None, None]
    y = axis[None, :, None] - scenes.center[:, 1, None, None]
    point = np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)  # [B, H, W, 2], in the object's frame

    distance = np.empty(point.shape[:-1])
    for index, name in enumerate(SHAPES):
        chosen = scenes.shape == index
        if chosen.any():
            radius = scenes.radius[chosen, None, None]
            distance[chosen] = _DISTANCES[name](point[chosen] / radius[..., None]) * radius
    cover = np.clip(0.5 - distance / pixel, 0, 1)[:, None]

    bands = np.ones_like(cover)
    for name, period in (("striped", STRIPE), ("checkered", CHECK)):
        chosen = scenes.texture == TEXTURES.index(name)
        across = _band(point[chosen, :, :, 0], fine * period, pixel)
        if name == "checkered":
            down = _band(point[chosen, :, :, 1], fine * period, pixel)
            across = across + down - 2 * across * down  # exclusive or, smooth at the edges
        bands[chosen, 0] = across
    return cover, scenes.rgb[:, :, None, None] * (SHADE + (1 - SHADE) * bands)


def _band(u: np.ndarray, period: float, pixel: float) -> np.ndarray:
    """Return 1 on every second half period of `u`, 0 between, linear over one pixel at the borders; 1 at u = 0."""
    inside = 0.25 * period - np.abs((u + 0.5 * period) % period - 0.5 * period)
    return np.clip(0.5 + inside / pixel, 0, 1)


def polygon_distance(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return signed distance of points [..., 2] to the closed polygon `corners` [N, 2]; negative inside."""
    start, end = corners, np.roll(corners, -1, axis=0)
    edge = end - start
    offset = point[..., None, :] - start  # [..., N, 2]
    along = np.clip((offset * edge).sum(-1) / (edge**2).sum(-1), 0, 1)
    nearest = np.sqrt(((offset - along[..., None] * edge) ** 2).sum(-1).min(-1))
    # Even-odd rule: a point is inside when a ray to the right crosses the border an odd number of times.
    y = point[..., None, 1]
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = start[:, 0] + (y - start[:, 1]) / edge[:, 1] * edge[:, 0]
    inside = (crosses & (point[..., None, 0] < crossing_x)).sum(-1) % 2 == 1
    return np.where(inside, -nearest, nearest)


def _regular(count: int, radius: float, inner: float | None = None) -> np.ndarray:
    """Return corners of a regular polygon pointing up; with `inner`, of a star with `count` points."""
    n = count if inner is None else 2 * count
    turn = 2 * np.pi * np.arange(n) / n - np.pi / 2
    reach = np.full(n, radius) if inner is None else np.where(np.arange(n) % 2 == 0, radius, inner)
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=-1)


def _cross(arm: float, half: float) -> np.ndarray:
    a, h = arm, half
    return np.array(
        [(h, -a), (h, -h), (a, -h), (a, h), (h, h), (h, a), (-h, a), (-h, h), (-a, h), (-a, -h), (-h, -h), (-h, -a)]
    )


# Sizes at radius 1: reach and area differ little between shapes, so that size does not give the shape away.
_DISTANCES = {
    "circle": lambda p: np.hypot(p[..., 0], p[..., 1]) - 0.88,
    "square": lambda p: polygon_distance(p, 0.80 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])),
    "triangle": lambda p: polygon_distance(p, _regular(3, 1.15) + np.array([0, 0.15])),
    "star": lambda p: polygon_distance(p, _regular(5, 1.18, 0.52)),
    "ring": lambda p: np.abs(np.hypot(p[..., 0], p[..., 1]) - 0.70) - 0.27,
    "cross": lambda p: polygon_distance(p, _cross(0.98, 0.36)),
}
