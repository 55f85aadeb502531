"""Inside the sampling loop nothing waits for the device: counted on the meta device."""

from __future__ import annotations

import pytest
import torch
from host_waits import RUNS, HostWaits, waits


@pytest.mark.slow("two dozen trajectories under a profiler")
@pytest.mark.parametrize("typed", RUNS.values(), ids=map(" ".join, RUNS))
def test_no_step_waits_for_the_device_and_one_read_follows_the_last(typed: tuple[str, ...]) -> None:
    found = waits(*typed, "sampler.steps=4")
    assert (found.steps, found.inside, found.after) == (4, 0, 1)


def test_the_counter_sees_each_kind_of_wait() -> None:
    there, here = torch.empty(2, 3, device="meta"), torch.ones(2, 3)
    with HostWaits() as mode:
        seen = [mode.count]

        def since() -> int:
            seen.append(mode.count)
            return seen[-1] - seen[-2]

        assert bool((there > 0).all()) and since() == 1
        assert there.sum().item() == 1 and since() == 1
        assert there.tolist() == [[0.0] * 3] * 2 and since() == 1
        assert there.nonzero().shape == (0, 2) and since() == 1
        assert torch.linalg.solve(there[:, :2], there[:, :1]).shape == (2, 1) and since() == 1
        assert torch.linalg.solve_ex(there[:, :2], there[:, :1]).result.shape == (2, 1) and since() == 0
        assert here.to("meta").device.type == "meta" and since() == 1
        assert torch.tensor(1.0, device="meta").ndim == 0 and since() == 1
        assert here.to("meta", non_blocking=True).device.type == "meta" and since() == 0
        assert (there + there.double()).dtype == torch.float64 and float(here.sum()) == 6 and since() == 0
