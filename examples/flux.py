"""S2-Guidance in FLUX.1 with true CFG: a negative prompt and true_cfg_scale above 1 switch its CFG on."""

import sys

import torch
from diffusers import FluxPipeline

import s2g


def main(place: str = "black-forest-labs/FLUX.1-dev", **more: object) -> object:
    pipe = FluxPipeline.from_pretrained(place, torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    with s2g.guide(pipe, s2g.S2(omega=0.25), scale=3.5, seed=0):
        return pipe("a red book on an ivory sheep", negative_prompt="", true_cfg_scale=2.0, **more).images[0]


if __name__ == "__main__":
    main(*sys.argv[1:]).save("flux.png")
