"""Where a unit's noise comes from, and that it is sent without waiting for the device."""

from __future__ import annotations

import torch
from host_waits import HostWaits

from s2g.sampling.loop import initial_noise, noise_of, sent
from s2g.sampling.unit import Unit

SHAPE = (2, 3)


def test_items_with_streams_of_their_own_have_their_noise_wherever_they_stand() -> None:
    found = noise_of(Unit(0, (4, 5), 0, 0, 0, {4: (7, 3), 5: (9, 1)}), SHAPE)
    assert torch.equal(found, torch.cat([initial_noise(7, [3], SHAPE), initial_noise(9, [1], SHAPE)]))


def test_without_them_noise_is_of_the_seed_and_the_item_even_or_not() -> None:
    assert torch.equal(noise_of(Unit(0, (4, 5), 7, 0), SHAPE), initial_noise(7, [4, 5], SHAPE))
    even = noise_of(Unit(0, (4, 5), 7, 0, 8), SHAPE)
    assert torch.equal(even, initial_noise(7, [4, 5], SHAPE, 8)) and not torch.equal(even, initial_noise(7, [4, 5], SHAPE))


def test_values_are_sent_without_a_wait() -> None:
    with HostWaits() as mode:
        assert sent(torch.ones(2), "meta").device.type == "meta" and mode.count == 0
