"""S2-Guidance as a guider of a modular Stable Diffusion 3.5, made of a repository of the classic pipeline."""

import sys

import torch
from diffusers import ModularPipeline

from s2g.integrations.diffusers.modular import S2Guidance


def main(place: str = "stabilityai/stable-diffusion-3.5-medium", **more: object) -> object:
    pipe = ModularPipeline.from_pretrained(place)
    pipe.load_components(torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    pipe.update_components(guider=S2Guidance(guidance_scale=7.5, omega=0.25, seed=0))
    return pipe(prompt="a red book on an ivory sheep", output="images", **more)[0]


if __name__ == "__main__":
    main(*sys.argv[1:]).save("sd35-modular.png")
