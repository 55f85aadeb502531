"""S2-Guidance as a guider of a modular Wan 2.1, text to video."""

import sys

import torch
from diffusers import ModularPipeline
from diffusers.utils import export_to_video

from s2g.integrations.diffusers.modular import S2Guidance


def main(place: str = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", **more: object) -> object:
    pipe = ModularPipeline.from_pretrained(place)
    pipe.load_components(torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    pipe.update_components(guider=S2Guidance(guidance_scale=5.0, omega=0.25, seed=0))
    return pipe(prompt="a cat walks on grass", output="videos", **more)[0]


if __name__ == "__main__":
    import imageio_ffmpeg  # noqa: F401  # pip install imageio imageio-ffmpeg: the films are written with them, after all sampling

    export_to_video(main(*sys.argv[1:]), "wan-modular.mp4", fps=16)
