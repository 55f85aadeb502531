"""The bench of prefix reuse: its expectation against enumeration, and full-size models against known counts."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from bench_reuse import KNOWN, expected_ratios, expected_sub, saved_by_sharing
from meta_models import FULL_SIZE, cost_of_full_size

from s2g.engine.cost import PassCost
from s2g.guidance.masks import count_from_ratio

UNEVEN = PassCost(stem=5, blocks=(7, 11, 2, 31, 3, 17, 23))
PARAMETERS = {  # in millions
    "SD3-medium 1024x1024": 2028.3,
    "SD3.5-medium 1024x1024": 2243.2,
    "Flux 1024x1024": 11891.2,
    "Wan 1.3B 480x832x81": 1419.0,
    "SiT-XL/2 256x256": 675.13,
}


@pytest.mark.parametrize("protect", [(), (0,), (0, -1), (2, 5)])
@pytest.mark.parametrize("drop", [1, 2, 3, 5])
def test_expectation_is_the_mean_over_all_masks(drop: int, protect: tuple[int, ...]) -> None:
    blocks = UNEVEN.blocks
    never = {index % len(blocks) for index in protect}
    masks = list(itertools.combinations([index for index in range(len(blocks)) if index not in never], drop))
    for reuse in (False, True):
        costs = [
            UNEVEN.stem + sum(c for i, c in enumerate(blocks) if i not in mask and (i > mask[0] or not reuse)) for mask in masks
        ]
        assert expected_sub(UNEVEN, drop, protect, reuse) == Fraction(sum(costs), len(masks))


def test_what_sharing_saves_by_hand() -> None:
    """Two of blocks 1 to 4: of all six masks, (1, 2) to (3, 4), eight blocks run alone, and (1, 3) and (1, 4) share block 2."""
    assert saved_by_sharing(5, 2, masks=200, steps=2) == pytest.approx(1 / 8)
    assert saved_by_sharing(5, 1, masks=200, steps=2) == 0  # one dropped block: nothing but the plain pass to share


def test_equal_blocks_by_hand() -> None:
    """One of 12 equal blocks dropped, the first protected: 11 of 12 run, and with reuse 5 on average."""
    ratios = expected_ratios(PassCost(0, (1,) * 12), drop=1, protect=(0,))
    assert ratios.plain == pytest.approx(1 + 11 / 24)
    assert ratios.reuse == pytest.approx(1 + 5 / 24)


@pytest.mark.slow("full-size meta model")
@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_models(name: str) -> None:
    """Parameters and FLOPs of the published sizes, as counted before by other code."""
    model, known = FULL_SIZE[name](), KNOWN[name]
    assert model.parameters() / 1e6 == pytest.approx(PARAMETERS[name], rel=3e-5)
    cost = cost_of_full_size(model)
    drop = count_from_ratio(0.1, len(cost.blocks))
    assert drop == known.drop
    assert cost.total / 1e12 == pytest.approx(known.tera, rel=5e-4)
    ratios = expected_ratios(cost, drop, (0, -1))
    assert ratios.plain == pytest.approx(known.ratios.plain, abs=6e-4)
    sampled = name.startswith("Flux")  # its known figure is a mean over some of the masks
    assert ratios.reuse == pytest.approx(known.ratios.reuse, abs=1e-3 if sampled else 6e-4)
