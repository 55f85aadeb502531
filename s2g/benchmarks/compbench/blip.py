"""BLIP's answer to a question about an image: the probability of yes against no, as T2I-CompBench takes it.

Source: Karine-Huang/T2I-CompBench at 1b70949, BLIPvqa_eval: models/blip_vqa.py (vqa_prob), data/vqa_dataset.py (BSD-3
and MIT). The network is transformers' BlipForQuestionAnswering.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from s2g.config.weights import folder_of
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash
from s2g.io.images import read_image
from s2g.io.interrupt import uninterrupted
from s2g.io.library_versions import versions
from s2g.scoring.scorer import InProcessScorer, Question, scorer_device

KEY = "bench.blip"
OFFICIAL = "Salesforce/blip-vqa-capfilt-large"
SIDE = 480  # to which every image is brought, whatever its shape
TOKENS = 35  # of a question at most
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
VOCABULARY = ("vocab.txt", "tokenizer.json")


def weights_folder(typed: str) -> Path:
    """Return the network's folder in transformers' layout, `typed` or in the hub's cache; UserError if there is none."""
    folder = folder_of(typed)
    if folder is None:
        raise MissingError(
            KEY,
            typed,
            "no such folder, and not in the cache of the hub",
            allowed=f"{OFFICIAL} (BSD-3, 1.5 GB), or the folder of a BlipForQuestionAnswering with its tokenizer",
            todo=f"hf download {typed}",
        )
    for names in (("config.json",), WEIGHTS, VOCABULARY):
        if not any((folder / name).is_file() for name in names):
            raise MissingError(KEY, typed, f"no file {' or '.join(names)} in {folder}", todo=f"hf download {OFFICIAL}")
    return folder


def doubts(typed: str) -> list[str]:
    """Say why its answers may not be those of the official network; [] for the hub's own."""
    return [] if typed == OFFICIAL and not Path(typed).is_dir() else [f"BLIP is not known to be {OFFICIAL}"]


def identity(typed: str) -> str:
    """Return 12 hex digits of everything that determines an answer: config, weights, vocabulary, and whose code runs them."""
    folder = weights_folder(typed)
    names = ["config.json", *(next(n for n in names if (folder / n).is_file()) for names in (WEIGHTS, VOCABULARY))]
    parts = [*(content_hash(folder / name) for name in names), repr(libraries())]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that compute an answer: answers have changed between releases."""
    return versions("torch", "transformers", "tokenizers")


@dataclass(frozen=True)
class Blip:
    """The network in fp32, and the token ids of its rule."""

    network: Any
    tokenizer: Any
    yes: int
    no: int
    start: int  # first token of the answer, [DEC]: the tokenizer's first added one
    first: int  # first token of the question in the place of [CLS], [ENC]: its second

    @staticmethod
    def of(network: Any, tokenizer: Any) -> Blip:
        """Find the rule's tokens; UserError if a word or one of the two added tokens is not in the vocabulary."""
        yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
        start = network.config.text_config.bos_token_id
        if tokenizer.unk_token_id in (yes, no) or start + 1 >= network.config.text_config.vocab_size:
            raise UserError(f"{KEY}: its vocabulary lacks yes, no, or BLIP's two added tokens", allowed=OFFICIAL)
        return Blip(network.eval(), tokenizer, yes, no, start, start + 1)

    def answers(self, image: np.ndarray, questions: Sequence[str]) -> list[float]:
        """Return P(yes) / (P(yes) + P(no)) as first word of the answer, for each question about one uint8 image [H, W, 3]."""
        import torch

        if not questions:
            return []
        device = self.network.device
        found = []
        with torch.inference_mode():
            seen = self.network.vision_model(pixels_of(image).to(device), interpolate_pos_encoding=True).last_hidden_state
            begun = torch.tensor([[self.start]], device=device)
            for question in questions:  # one by one: no padding, so that no mask and no neighbour can change an answer
                ids = self.tokenizer(question, truncation=True, max_length=TOKENS, return_tensors="pt").input_ids.to(device)
                ids[:, 0] = self.first
                read = self.network.text_encoder(input_ids=ids, encoder_hidden_states=seen)[0]
                logits = self.network.text_decoder(input_ids=begun, encoder_hidden_states=read).logits
                pair = logits[0, 0, [self.yes, self.no]].float()
                found.append(float(torch.softmax(pair, dim=-1)[0]))
                if not math.isfinite(found[-1]):  # a mean would leave it out without a word
                    raise UserError(f"{KEY}: the answer to {question!r} is {found[-1]}", allowed=f"finite weights: {OFFICIAL}")
        return found


def pixels_of(image: np.ndarray) -> Any:
    """Resize a uint8 image [H, W, 3] by PIL's bicubic, distorted, and normalize it as CLIP does; float32 [1, 3, 480, 480]."""
    import torch

    resized = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    scaled = torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((scaled - mean) / std)[None]


@dataclass(frozen=True)
class BlipScorer(InProcessScorer):
    """The network as workers ask it."""

    typed: str
    device: str

    def value(self, question: Question, device: str) -> list[float]:
        """Return the answers to an image's questions."""
        return load(self.typed, scorer_device(self.device, device)).answers(read_image(question.path), question.words)


@cache
def load(typed: str, device: str) -> Blip:
    """Load the network onto a device; UserError if the files are no such network."""
    folder = weights_folder(typed)
    with uninterrupted():
        import torch
        from safetensors import SafetensorError
        from transformers import AutoTokenizer, BlipForQuestionAnswering
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        loaded: Any = BlipForQuestionAnswering.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        network, about = loaded
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{KEY} = {typed}: cannot be loaded ({said})", allowed=OFFICIAL) from error
    lacking = sorted(about["missing_keys"])
    if lacking:
        raise UserError(f"{KEY} = {typed}: its weights lack {len(lacking)} tensors, the first {lacking[0]}", allowed=OFFICIAL)
    return Blip.of(network.to(device), tokenizer)  # type: ignore[arg-type]
