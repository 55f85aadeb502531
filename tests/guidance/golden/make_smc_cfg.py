"""Makes smc_cfg.npz: what the official `CFGCtrlMixin._cfg_ctrl_apply` returns over six steps on seeded inputs.

    git clone https://github.com/hanyang-21/CFG-Ctrl OFFICIAL
    git -C OFFICIAL checkout 490a628fb0999b9269541e89820e1c26b71931bc
    PYTHONPATH=.:OFFICIAL/pipeline .venv/bin/python tests/guidance/golden/make_smc_cfg.py

Its pipeline/common_cfg_ctrl.py needs torch alone. Made with torch 2.15 on an AMD EPYC CPU, 2026-12-01.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s2g.rng import Purpose, normal

STEPS, SHAPE, SCALE = 6, (2, 3, 4, 5), 4.0
# rate (lambda), gain (K), steps of warm-up without guidance: the README's settings, the code's defaults, the Flux example.
CASES = {"readme": (5.0, 0.2, 0), "code": (0.05, 0.3, 0), "warm-up": (5.0, 0.2, 2)}


def inputs(step: int) -> tuple[Tensor, Tensor]:
    """Return cond and uncond of a step [2, 3, 4, 5], float64; some entries of their difference are smaller than the gain."""
    drawn = [torch.from_numpy(normal(Purpose.STEP_NOISE, 3281, item, SHAPE, step)).double() for item in range(2)]
    return drawn[1] + 0.3 * drawn[0], drawn[1]


if __name__ == "__main__":
    from common_cfg_ctrl import (  # pyright: ignore[reportMissingImports]
        CFGCtrlMixin,
        CFGCtrlParams,
        CFGCtrlState,
    )

    made: dict[str, Any] = {}
    for case, (rate, gain, warm_up) in CASES.items():
        params = CFGCtrlParams.build(smc_cfg_enable=True, smc_cfg_lambda=rate, smc_cfg_k=gain, no_cfg_warmup_steps=warm_up)
        state, steps = CFGCtrlState(), []
        for step in range(STEPS):
            cond, uncond = inputs(step)
            guided = CFGCtrlMixin()._cfg_ctrl_apply(
                noise_pred_posi=cond, noise_pred_nega=uncond, cfg_scale=SCALE, progress_id=step, params=params, state=state
            )
            steps.append(guided.numpy())
        made[case] = np.stack(steps)
    np.savez_compressed(Path(__file__).with_name("smc_cfg.npz"), **made)
