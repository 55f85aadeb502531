"""The preference panel on random weights of the scorers' own classes: the official packages' numbers, or the formula's.

Slow: three environments are built (their packages are gigabytes), and ImageReward's network is of full size.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import preference_weights
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import layer_norm, silu

from s2g.benchmarks.preference import panel
from s2g.benchmarks.preference.published import CLIP_H, SCORES
from s2g.errors import IsolatedError
from s2g.scoring import known_pairs
from s2g.scoring.file_scoring import Image as Judged
from s2g.scoring.isolated.environment import build
from s2g.scoring.scoring_pool import answer_here

SIZES = ((224, 224), (512, 512), (301, 200), (100, 163))  # sides whose middles the packages place differently, too
PROMPTS = ["a red circle left of a blue square", "concept art of a castle at night", "", "a painting"]
FORMULA = {"pickscore", "mps"}
CONDITION = (
    "light, color, clarity, tone, style, ambiance, artistry, shape, face, hair, hands, limbs, structure, instance, texture, "
    "quantity, attributes, position, number, location, word, things."
)


def images(folder: Path) -> list[Judged]:
    noise, made = np.random.default_rng(0), []
    for item, (height, width) in enumerate(SIZES):
        small = noise.integers(0, 256, (height // 20 + 1, width // 20 + 1, 3), dtype=np.uint8)
        Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path := folder / f"{item}.png")
        made.append(Judged(item, path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return made


def weights(score: str, models: Path) -> None:
    """Have the official package's classes, or imscore's, draw a score's weights."""
    isolated = panel.environment(score, panel.IMSCORE if score in FORMULA else panel.OFFICIAL)
    command = [str(isolated.interpreter), preference_weights.__file__, str(models), score]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONPATH": ""}
    subprocess.run([*command, *([] if score in FORMULA else ["official"])], check=True, env=offline, capture_output=True)


def scored(score: str, scorer: str, models: Path, folder: Path) -> list[float]:
    shown = images(folder)
    about: dict[str, Any] = {"models": str(models), "device": "auto", "place": folder / "judged", "answer": answer_here}
    return panel.scores(score, images=shown, texts=PROMPTS, scorer=scorer, **about)


@pytest.mark.external
@pytest.mark.parametrize("score", ["image_reward", "hpsv3"])
def test_it_scores_like_the_official_package(score: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for scorer in panel.SCORERS:
        build(panel.environment(score, scorer))
    weights(score, tmp_path / "models")
    with pytest.raises(IsolatedError, match="fails on the known images"):  # random weights know no circle
        scored(score, panel.IMSCORE, tmp_path / "models", tmp_path)
    monkeypatch.setattr(known_pairs, "fault", lambda *_: "")
    ours, theirs = (scored(score, scorer, tmp_path / "models", tmp_path) for scorer in panel.SCORERS)
    apart = np.abs(np.subtract(ours, theirs)).max()
    print(f"{score}: official {theirs}; imscore {ours}; largest difference {apart:.7f}")
    assert np.ptp(theirs) > 0.05
    assert apart < (0.05 if torch.cuda.is_available() else 1e-5)


@pytest.mark.external
@pytest.mark.parametrize("score", sorted(FORMULA))
def test_it_scores_as_published(score: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(panel.environment(score, panel.IMSCORE))
    weights(score, tmp_path / "models")
    monkeypatch.setattr(known_pairs, "fault", lambda *_: "")
    ours = scored(score, panel.IMSCORE, tmp_path / "models", tmp_path)
    formula = {"pickscore": pickscore, "mps": mps}[score]
    theirs = [formula(tmp_path / "models", one.path, prompt) for one, prompt in zip(images(tmp_path), PROMPTS, strict=True)]
    apart = np.abs(np.subtract(ours, theirs)).max()
    print(f"{score}: formula {theirs}; imscore {ours}; largest difference {apart:.7f}")
    assert np.ptp(theirs) > 0.05
    assert apart < 1e-3  # of numbers that are 14 times a cosine


# The published formulas, without the packages: Pillow, torch, and S2G's own transformers for CLIP's two towers.


def clip(models: Path, tensors: dict[str, torch.Tensor]) -> Any:
    """Build the CLIP of these tensors."""
    from transformers import CLIPConfig, CLIPModel

    network = CLIPModel(CLIPConfig.from_pretrained(models / CLIP_H.name)).eval()
    network.load_state_dict(tensors)
    return network


def pixels(path: Path) -> torch.Tensor:
    """The short side to 224 by Pillow's bicubic, the middle 224 x 224, CLIP's mean and deviation; [1, 3, 224, 224]."""
    image = Image.open(path)
    width, height = image.size
    short = min(width, height)
    image = image.resize((int(224 * width / short), int(224 * height / short)), Image.Resampling.BICUBIC)
    left, top = ((side - 224) // 2 for side in image.size)
    values = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return torch.from_numpy((values - np.float32(mean)) / np.float32(deviation)).permute(2, 0, 1)[None]


def ids(models: Path, text: str, length: int | None = None) -> torch.Tensor:
    """The tokens of small letters and marks: one each, the last of a word with its end; padded with the last mark."""
    words = json.loads((models / CLIP_H.name / "vocab.json").read_text())
    split = [[*word[:-1], f"{word[-1]}</w>"] for word in re.findall(r"[a-z]+|[,.]+", text)]
    found = [words[one] for one in ("<|startoftext|>", *(letter for word in split for letter in word))]
    end = words["<|endoftext|>"]
    found = [*found[: (length or 77) - 1], end]
    return torch.tensor([found + [end] * ((length or 0) - len(found))])


@torch.no_grad()
def pickscore(models: Path, path: Path, prompt: str) -> float:
    """PickScore, arXiv 2305.01569: the scaled cosine of CLIP's embeddings."""
    network = clip(models, load_file(models / SCORES["pickscore"].weights.name / "model.safetensors"))
    both = network(input_ids=ids(models, prompt), pixel_values=pixels(path))
    image, text = (one[0] / one[0].norm() for one in (both.image_embeds, both.text_embeds))
    return float(network.logit_scale.exp() * (image @ text))


@torch.no_grad()
def mps(models: Path, path: Path, prompt: str) -> float:
    """MPS, arXiv 2405.14705: patches attend to those words of the prompt that are near to the condition."""
    tensors = load_file(models / SCORES["mps"].weights.name / "model.safetensors")
    network = clip(models, {k.removeprefix("mps.model."): v for k, v in tensors.items() if k.startswith("mps.model.")})
    towers = [network.text_model(ids(models, text, 77)).last_hidden_state for text in (prompt, CONDITION)]
    words, condition = map(network.text_projection, towers)
    last = int(ids(models, prompt, 77).argmax())
    seen = network.vision_model(pixels(path).half().float()).last_hidden_state
    x = network.visual_projection(seen)
    near = (words @ condition.mT).amax(dim=-1)  # [1, 77]
    mask = torch.where((near / near.max()).half().float() > 0.01, 0.0, -torch.inf)[:, None, None]
    part = {k.removeprefix("mps.cross_model.layers."): v for k, v in tensors.items() if "cross_model" in k}
    for layer in range(4):
        x = x + attend(part, f"{layer}.0.fn.", x, words, mask)
        x = x + parallel(part, f"{layer}.1.fn.", x)
    image, text = (one / one.norm() for one in (x[0, 0], words[0, last]))
    return float(network.logit_scale.exp() * (image @ text))


def gated(x: torch.Tensor) -> torch.Tensor:
    x, gate = x.chunk(2, dim=-1)
    return silu(gate) * x


def attend(part: dict[str, torch.Tensor], name: str, x: torch.Tensor, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Attention with one head of keys and values for 16 of queries, and a feed-forward part of the same input beside it."""
    x = layer_norm(x, (1024,), part[f"{name}norm.weight"], part[f"{name}norm.bias"])
    query = (x @ part[f"{name}to_q.weight"].T).unflatten(-1, (16, 64)).transpose(1, 2) / 8
    key, value = (words @ part[f"{name}to_kv.weight"].T).chunk(2, dim=-1)
    weight = (query @ key[:, None].mT + mask).softmax(dim=-1)
    out = (weight @ value[:, None]).transpose(1, 2).flatten(2) @ part[f"{name}to_out.weight"].T
    return out + gated(x @ part[f"{name}ff.0.weight"].T) @ part[f"{name}ff.2.weight"].T


def parallel(part: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    """Attention of patches among themselves with rotary places, and a feed-forward part, from one product."""
    x = layer_norm(x, (1024,), part[f"{name}norm.weight"], part[f"{name}norm.bias"])
    query, key, value, rest = (x @ part[f"{name}fused_attn_ff_proj.weight"].T).split((1024, 64, 64, 8192), dim=-1)
    angle = torch.arange(x.shape[1])[:, None] / 10000 ** (torch.arange(0, 64, 2) / 64)
    cosine, sine = torch.cat([angle.cos()] * 2, dim=-1), torch.cat([angle.sin()] * 2, dim=-1)

    def turned(one: torch.Tensor) -> torch.Tensor:
        first, second = one.chunk(2, dim=-1)
        return one * cosine + torch.cat([-second, first], dim=-1) * sine

    query = turned(query.unflatten(-1, (16, 64)).transpose(1, 2)) / 8
    weight = (query @ turned(key)[:, None].mT).softmax(dim=-1)
    out = (weight @ value[:, None]).transpose(1, 2).flatten(2) @ part[f"{name}attn_out.weight"].T
    return out + gated(rest) @ part[f"{name}ff_out.1.weight"].T
