"""A small randomly initialised CLIP in the official checkpoint's layout, its sizes in open_clip's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP

SIZES: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def sizes_of(side: int) -> dict[str, Any]:
    """The sizes, for images of `side` pixels."""
    return {**SIZES, "vision_cfg": {**SIZES["vision_cfg"], "image_size": side}}


def network(seed: int = 0, side: int = 32) -> CLIP:
    """A CLIP whose numbers are all drawn anew: at its own initialisation half of them are nought."""
    torch.manual_seed(seed)
    made = CLIP(SIZES["embed_dim"], sizes_of(side)["vision_cfg"], SIZES["text_cfg"], output_dict=True)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.normal_(mean=float(parameter.ndim == 1 and name.endswith("weight")), std=0.2)
    return made.eval()


def write(folder: Path, name: str = "small.pt", seed: int = 0, side: int = 32) -> tuple[Path, Path]:
    """A checkpoint, and the JSON of its sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": network(seed, side).state_dict()}, folder / name)
    (folder / "small.json").write_text(json.dumps(sizes_of(side)))
    return folder / name, folder / "small.json"
