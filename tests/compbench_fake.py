"""A model of texts that costs nothing, a small random BLIP in transformers' layout, and phrases without spaCy.

Importable by worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from imagenet_fake import FakeDenoiser
from transformers import BertTokenizerFast, BlipConfig, BlipForQuestionAnswering

from s2g.benchmarks.compbench import phrases
from s2g.benchmarks.qalign import qalign
from s2g.config.registry import MODELS
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "yes",
    "no",
    "?",
    ",",
    "'",
    "a",
    "an",
    "the",
    "red",
    "green",
    "blue",
    "bench",
    "bowl",
]
WORDS += ["cube", "round", "wooden", "and", "on", "top"]
LISTS = {
    "color": ["a red bench and a blue bowl", "a green bowl: it reads 11:44.", "a red bench and a blue bowl"],
    "shape": ["a round bowl", "a round bowl."],
    "texture": ["a wooden bench on the side", "a wooden bowl", "a wooden cube"],
}
MODEL = (
    "model=tiny_sit",
    "model.family=fake_texts",
    "model.name=fake_texts",
    "model.weights=none",
    "model.blocks=1",
    "model.unit=4",
    "model.resolution=256",
    "model.network.num_classes=null",
    "guidance=none",
    "sampler.steps=1",
    "bench=compbench",
    "bench.prompts=own",
)


class FakeTexts(FakeDenoiser):
    """The image depends on the text's letters and on the noise."""

    @staticmethod
    def load(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> FakeTexts:
        return FakeTexts()

    @staticmethod
    def meta_model(config: ModelConfig) -> FakeTexts:
        return FakeTexts()

    def encode(self, prompts: Sequence[Any]) -> dict[str, Conditioning]:
        return super().encode([sum(map(ord, str(prompt))) % 1000 for prompt in prompts])


def small_blip(folder: Path, seed: int = 0, side: int = 480) -> BlipForQuestionAnswering:
    """A random network of two layers, written with a tokenizer of a few words."""
    both = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 32}
    both |= {"initializer_range": 0.3}
    text = {**both, "vocab_size": len(WORDS) + 2, "encoder_hidden_size": 32, "max_position_embeddings": 64, "pad_token_id": 0}
    text |= {"bos_token_id": len(WORDS), "sep_token_id": 3, "eos_token_id": 3}
    vision = {**both, "image_size": side, "patch_size": 96}
    torch.manual_seed(seed)
    network = BlipForQuestionAnswering(BlipConfig(text_config=text, vision_config=vision, projection_dim=32)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    return network


def write_lists(folder: Path, lists: dict[str, list[str]] = LISTS, ending: str = "\r\n") -> Path:
    """The three prompt files."""
    folder.mkdir(exist_ok=True)
    for category, prompts in lists.items():
        (folder / f"{category}_val.txt").write_bytes(ending.join(prompts).encode())
    return folder


def split_phrases(prompt: str) -> list[str]:
    """Stands for spaCy: what stands between "and"."""
    return prompt.split(" and ")


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """Overrides of a run on the fake model, the small BLIP and the lists; more may be given."""
    monkeypatch.setattr(MODELS, "entries", dict(MODELS.entries))
    MODELS.add("fake_texts", "compbench_fake:FakeTexts", "nothing but images", reads_text=True, trained=False)
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    small_blip(tmp_path / "blip")
    write_lists(tmp_path / "lists")

    class Built:
        def check(self) -> None:
            pass

    monkeypatch.setattr(phrases, "environment", Built)
    monkeypatch.setattr(qalign, "environment", Built)
    monkeypatch.setattr(phrases, "model_place", Path)
    monkeypatch.setattr(phrases, "identity", lambda typed: {"scorer": "fake"})
    monkeypatch.setattr(phrases, "phrases_of", lambda texts, typed: {text: {"phrases": split_phrases(text)} for text in texts})

    def typed(*more: str) -> tuple[str, ...]:
        return (*MODEL, f"bench.path={tmp_path / 'lists'}", f"bench.blip={tmp_path / 'blip'}", "bench.device=cpu", *more)

    return typed
