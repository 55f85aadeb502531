"""S2-Guidance in Stable Diffusion 3.5: two lines around the pipeline's own call."""

import sys

import torch
from diffusers import StableDiffusion3Pipeline

import s2g


def main(place: str = "stabilityai/stable-diffusion-3.5-medium", **more: object) -> object:
    pipe = StableDiffusion3Pipeline.from_pretrained(place, torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    with s2g.guide(pipe, s2g.S2(omega=0.25), scale=7.5, seed=0):
        return pipe("a red book on an ivory sheep", generator=torch.Generator().manual_seed(0), **more).images[0]


if __name__ == "__main__":
    main(*sys.argv[1:]).save("sd35.png")
