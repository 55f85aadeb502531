"""The world: deterministic by seed and index, true to its attributes, and read by the probe."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2g.benchmarks.common_metrics import stored_moments
from s2g.benchmarks.shapes.bench import REFERENCE, Shapes
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.scoring.score import estimate
from s2g.worlds.shapes.probe import read_images, shipped_probe
from s2g.worlds.shapes.render import polygon_distance, render
from s2g.worlds.shapes.world import (
    ATTRIBUTES,
    COLORS,
    HELD_OUT_SEED,
    NUM_CLASSES,
    REFERENCE_SEED,
    attributes_of,
    class_name,
    label_of,
    scenes,
)


def test_a_scene_belongs_to_its_seed_and_index() -> None:
    alone, together = scenes(7, np.array([12])), scenes(7, np.arange(10, 14))
    np.testing.assert_array_equal(render(alone)[0], render(together)[2])
    assert not np.array_equal(render(scenes(8, np.array([12]))), render(alone))


def test_labels_and_attributes_are_inverse() -> None:
    labels = np.arange(NUM_CLASSES)
    of = attributes_of(labels)
    np.testing.assert_array_equal(label_of(of["shape"], of["color"], of["texture"]), labels)
    assert class_name(0) == "red solid circle" and class_name(107) == "cyan checkered cross"


def test_solid_shapes_cover_the_area_geometry_says() -> None:
    """Pixels that are not background, against the exact area at the scene's radius."""
    areas = {
        "circle": np.pi * 0.88**2,
        "square": 1.6**2,
        "triangle": 3 * np.sqrt(3) / 4 * 1.15**2,
        "ring": np.pi * (0.97**2 - 0.43**2),
    }
    areas["cross"] = 4 * (2 * 0.36 * 0.98) - 4 * 0.36**2
    areas["star"] = 5 * 1.18 * 0.52 * np.sin(np.pi / 5)
    for index, name in enumerate(("circle", "square", "triangle", "star", "ring", "cross")):
        labels = np.full(20, index * 18)  # red solid
        drawn = scenes(3, np.arange(20), labels)
        image = render(drawn, size=128)
        grey = drawn.grey[:, None, None]
        cover = (image[:, 1] - grey) / (drawn.rgb[:, 1, None, None] - grey)
        got = cover.sum((1, 2)) * (2 / 128) ** 2
        np.testing.assert_allclose(got, areas[name] * drawn.radius**2, rtol=0.02, err_msg=name)


def test_polygon_distance_is_exact_for_a_square() -> None:
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    points = np.array([(0, 0), (0.5, 0), (2, 0), (2, 2), (1, 0.3)])
    np.testing.assert_allclose(polygon_distance(points, corners), [-1, -0.5, 1, np.sqrt(2), 0], atol=1e-12)


def test_textures_show_two_tones_and_solid_one() -> None:
    for texture, tones in ((0, 1), (1, 2), (2, 2)):
        drawn = scenes(0, np.arange(6), np.array([18 * shape + texture for shape in range(6)]))
        image = render(drawn, size=128)
        red = image[:, 0] / drawn.rgb[:, 0, None, None]
        inside = image[:, 1] < 0.3 * drawn.grey[:, None, None]  # the background has as much green as red
        dark = ((red < 0.4) & inside).sum((1, 2)) / inside.sum((1, 2))
        assert ((dark > 0.2) & (dark < 0.7)).all() if tones == 2 else (dark == 0).all()


def test_probe_reads_held_out_scenes() -> None:
    drawn = scenes(HELD_OUT_SEED, np.arange(500_000, 501_000))
    images = (render(drawn) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)
    reading = read_images(images)
    truth = attributes_of(drawn.label)
    for name in ATTRIBUTES:
        assert (reading.logp[name].argmax(-1).numpy() == truth[name]).mean() >= 0.97
    joint = reading.joint().numpy()
    np.testing.assert_allclose(joint.sum(1), 1, rtol=1e-5)
    assert (joint.argmax(1) == drawn.label).mean() >= 0.95


def test_true_scenes_score_as_truth_and_wrong_colours_do_not() -> None:
    bench, items = Shapes(), range(216)
    labels = np.array(bench.prompts(items))
    assert sorted(set(labels)) == list(range(NUM_CLASSES)) and len(set(labels[:108])) == NUM_CLASSES

    def measured(drawn):
        images = (render(drawn) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)
        arrays = bench.measure(images, items)
        return {metric.name: estimate(metric, arrays, np.zeros(len(items), int)).value for metric in bench.metrics}

    true = measured(scenes(REFERENCE_SEED, np.arange(10**6, 10**6 + 216), labels))
    swapped = measured(scenes(REFERENCE_SEED, np.arange(10**6, 10**6 + 216), (labels + 3) % NUM_CLASSES))
    assert true["joint"] > 97 and true["pis"] > 95
    assert swapped["color"] < 5 < 95 < swapped["texture"]
    few = measured(scenes(REFERENCE_SEED, np.arange(10**6, 10**6 + 216), labels % 3))  # red circles only
    assert true["fd"] < 0.2 * few["fd"] and few["pis"] < 5


@pytest.mark.slow("draws the reference's scenes again")
def test_shipped_reference_is_the_moments_of_true_scenes() -> None:
    images = render(scenes(REFERENCE_SEED, np.arange(2000)))
    pixels = torch.from_numpy((images * 255 + 0.5).astype(np.uint8)).float() / 127.5 - 1
    with torch.no_grad():
        features = np.concatenate([shipped_probe()(chunk).features.numpy() for chunk in pixels.split(500)])
    part = Moments.of(features)
    spread = np.sqrt(np.diag(stored_moments(REFERENCE).covariance) / 2000)
    assert (np.abs(part.mean - stored_moments(REFERENCE).mean) < 5 * spread + 1e-9).all()
    assert frechet_distance(part, stored_moments(REFERENCE)) < 0.02 * np.trace(stored_moments(REFERENCE).covariance)


def test_names_of_colors_are_told_apart_by_their_channels() -> None:
    values = np.array(list(COLORS.values()))
    distance = np.abs(values[:, None] - values[None]).max(-1) + np.eye(len(values))
    assert distance.min() > 0.3
