"""S2-Guidance in Wan 2.1, text to video, beside CFG alone from the same noise."""

import sys

import torch
from diffusers import WanPipeline
from diffusers.utils import export_to_video

import s2g


def main(place: str = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", **more: object) -> dict[str, object]:
    pipe = WanPipeline.from_pretrained(place, torch_dtype=torch.bfloat16)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    films = {}
    for name, method in {"cfg": s2g.CFG(), "s2": s2g.S2(omega=0.25)}.items():
        with s2g.guide(pipe, method, scale=5.0):
            films[name] = pipe("a cat walks on grass", generator=torch.Generator().manual_seed(0), **more).frames[0]
    return films


if __name__ == "__main__":
    import imageio_ffmpeg  # noqa: F401  # pip install imageio imageio-ffmpeg: the films are written with them, after all sampling

    for name, frames in main(*sys.argv[1:]).items():
        export_to_video(frames, f"wan-{name}.mp4", fps=16)
