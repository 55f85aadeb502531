"""What the door itself costs: a guided pipeline beside the bare one with the same number of network passes.

    python scripts/door_overhead.py [PAIRS]

CFG through the door makes the bare pipeline's own passes, so that all it takes beyond them is the door's: control of the
blocks, the method's arithmetic, watching the loop. Short calls alternate in one process, in turn bare and guided first; what
is reported is the median over pairs of the ratio of their times. Process time leaves out what other processes do to the clock
on the wall; both are printed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor

import s2g
from s2g.io.machine import processor

STEPS, SCALE, PAIRS = 2, 4.0, 40
WIDTH, TEXT, SIDE = 384, 77, 32  # of the network; tokens; latents along a side: 256 tokens


@dataclass(frozen=True)
class Overhead:
    """Ratios guided / bare, by pair, in process time and on the wall."""

    process: tuple[float, ...]
    wall: tuple[float, ...]

    def line(self) -> str:
        """Return the medians with their quartiles, in words."""
        said = []
        for name, ratios in (("process time", self.process), ("wall", self.wall)):
            low, middle, high = statistics.quantiles(ratios, n=4)
            said.append(f"{name} {100 * (middle - 1):+.1f} % (quartiles {100 * (low - 1):+.1f} to {100 * (high - 1):+.1f})")
        return f"{len(self.process)} pairs: " + "; ".join(said)


def pipeline() -> StableDiffusion3Pipeline:
    """Return an SD3 of 12 blocks, 384 wide, with random weights, fed with embeddings."""
    torch.manual_seed(0)
    network = SD3Transformer2DModel(
        sample_size=SIDE, patch_size=2, in_channels=16, out_channels=16, num_layers=12, num_attention_heads=WIDTH // 64,
        attention_head_dim=64, joint_attention_dim=WIDTH, caption_projection_dim=WIDTH, pooled_projection_dim=64,
        pos_embed_max_size=SIDE,
    )  # fmt: skip
    parts: dict[str, Any] = dict.fromkeys(
        ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
    )
    made = StableDiffusion3Pipeline(network.eval(), FlowMatchEulerDiscreteScheduler(shift=3.0), **parts)
    made.set_progress_bar_config(disable=True)
    return made


def call(pipe: Any, scale: float) -> Tensor:
    """Return the latents of one call of the pipeline."""
    generator = torch.Generator().manual_seed(1)
    text = {name: torch.randn(1, TEXT, WIDTH, generator=generator) for name in ("prompt_embeds", "negative_prompt_embeds")}
    pooled = {f"{name}pooled_prompt_embeds": torch.randn(1, 64, generator=generator) for name in ("", "negative_")}
    noise = torch.randn(1, 16, SIDE, SIDE, generator=generator)
    return pipe(
        latents=noise, num_inference_steps=STEPS, guidance_scale=scale, height=8 * SIDE, width=8 * SIDE, output_type="latent",
        **text, **pooled,
    ).images  # fmt: skip


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the process time and the time on the wall that some work takes."""
    process, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - process, time.perf_counter() - wall


def measure(pairs: int) -> Overhead:
    """Alternate bare and guided calls; RuntimeError if they do not make the same latents."""
    pipe, ratios = pipeline(), ([], [])  # type: tuple[Any, tuple[list[float], list[float]]]

    def bare() -> Tensor:
        return call(pipe, SCALE)

    def guided() -> Tensor:
        with s2g.guide(pipe, s2g.CFG(SCALE)):
            return call(pipe, 1.5)

    if not torch.equal(bare(), guided()):  # the first calls, which also warm up
        raise RuntimeError("the guided pipeline made other latents than the bare one")
    for pair in range(pairs):
        order = (bare, guided) if pair % 2 == 0 else (guided, bare)
        took = {work: seconds(work) for work in order}
        for place in range(2):
            ratios[place].append(took[guided][place] / took[bare][place])
    return Overhead(tuple(ratios[0]), tuple(ratios[1]))


def main(arguments: Sequence[str]) -> None:
    """Print the overhead and the machine."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        print(measure(int(arguments[0]) if arguments else PAIRS).line())
    print(f"{processor()}, one thread, torch {torch.__version__}")


if __name__ == "__main__":
    main(sys.argv[1:])
