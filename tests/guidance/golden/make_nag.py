"""Makes nag.npz: what the official Flux attention processor, `NAGFluxAttnProcessor2_0`, returns on seeded inputs.

    git clone https://github.com/ChenDarYen/Normalized-Attention-Guidance OFFICIAL
    git -C OFFICIAL checkout 69159ca299eb5d59a81a64e89af522987e0341d5
    PYTHONPATH=.:OFFICIAL/src .venv/bin/python tests/guidance/golden/make_nag.py

This commit measures a token by its L2 norm where the paper, and we, have L1. In these cases no token reaches the cap in either
norm, so that both are the same. Made with diffusers 0.42.1 and torch 2.15 on an AMD EPYC CPU, 2026-12-01.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.transformers.transformer_flux import FluxAttention
from torch import Tensor

from s2g.rng import Purpose, normal

BATCH, TEXT, IMAGE, WIDTH = 2, 3, 5, 16
# nag_scale, tau, alpha: without a cap; the official tau, not reached; the guided attention alone.
CASES = {"uncapped": (5.0, 1e9, 0.25), "not reached": (1.1, 2.5, 0.25), "guided alone": (3.0, 1e9, 1.0)}
STREAMS = ("double", "single")


def drawn(item: int, *shape: int) -> Tensor:
    """Return numbers of one item's stream, float64."""
    return torch.from_numpy(normal(Purpose.INITIAL_NOISE, 21179, item, shape)).double()


def attention(stream: str) -> FluxAttention:
    """Return an attention of a Flux block with two heads, float64; every parameter is drawn."""
    joint: dict[str, Any] = (
        {"added_kv_proj_dim": WIDTH, "context_pre_only": False} if stream == "double" else {"pre_only": True}
    )
    made = FluxAttention(WIDTH, heads=2, dim_head=8, out_dim=WIDTH, bias=True, **joint).double()
    with torch.no_grad():
        for item, (_, parameter) in enumerate(sorted(made.named_parameters())):
            parameter.copy_(0.3 * drawn(100 + item, *parameter.shape))
    return made


def inputs() -> tuple[Tensor, Tensor]:
    """Return the image's tokens [BATCH, IMAGE, WIDTH], and the texts' [2 BATCH, TEXT, WIDTH], the negative ones behind."""
    return drawn(0, BATCH, IMAGE, WIDTH), drawn(1, 2 * BATCH, TEXT, WIDTH)


if __name__ == "__main__":
    from attention_flux_nag import NAGFluxAttnProcessor2_0  # pyright: ignore[reportMissingImports]

    results: dict[str, Any] = {}
    image, text = inputs()
    for case, (scale, tau, alpha) in CASES.items():
        processor = NAGFluxAttnProcessor2_0(scale, tau, alpha, encoder_hidden_states_length=TEXT)
        with torch.no_grad():
            guided, texts = processor(attention("double"), image, text)
            together = processor(attention("single"), torch.cat([text, torch.cat([image, image])], dim=1))
        results[f"{case}, double"] = np.concatenate([texts.numpy(), np.concatenate([guided.numpy()] * 2)], axis=1)
        results[f"{case}, single"] = together.numpy()
    np.savez_compressed(Path(__file__).with_name("nag.npz"), **results)
