"""S2-Guidance in Qwen-Image: a negative prompt and true_cfg_scale above 1 switch its CFG on, whose norm per token is kept."""

import sys

import torch
from diffusers import QwenImagePipeline

import s2g


def main(place: str = "Qwen/Qwen-Image", **more: object) -> object:
    pipe = QwenImagePipeline.from_pretrained(place, torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    with s2g.guide(pipe, s2g.S2(omega=0.25), scale=4.0, seed=0):
        return pipe("a coffee shop's sign: S2", negative_prompt=" ", true_cfg_scale=2.0, **more).images[0]


if __name__ == "__main__":
    main(*sys.argv[1:]).save("qwen-image.png")
