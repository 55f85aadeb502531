"""BLIP's answer on a small random network, against the rule computed straight through; and files that are not it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from compbench_fake import WORDS, small_blip
from PIL import Image
from torchvision import transforms

from s2g.benchmarks.compbench import blip
from s2g.errors import UserError

QUESTIONS = ["a red bench?", "a blue bowl and a green cube on the round wooden bench?", "?"]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [480, 384])
def test_the_probability_is_the_rule_computed_straight_through(side: int, image: np.ndarray, tmp_path: Path) -> None:
    network = small_blip(tmp_path, side=side)
    prepare = transforms.Compose(
        [
            transforms.Resize((480, 480), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ]
    )
    pixels = prepare(Image.fromarray(image))[None]
    wanted, as_cls = [], []
    for question in QUESTIONS:  # one at a time, without padding; the whole vocabulary's softmax
        words = question.replace("?", " ?").split()
        for first, into in ((WORDS.index("[PAD]") + len(WORDS) + 1, wanted), (WORDS.index("[CLS]"), as_cls)):
            ids = torch.tensor([[first, *(WORDS.index(word) for word in words), WORDS.index("[SEP]")]])
            with torch.no_grad():
                seen = network.vision_model(pixels, interpolate_pos_encoding=side != 480).last_hidden_state
                read = network.text_encoder(input_ids=ids, encoder_hidden_states=seen).last_hidden_state
                logits = network.text_decoder(input_ids=torch.tensor([[len(WORDS)]]), encoder_hidden_states=read).logits
            all_of = logits[0, 0].softmax(-1)
            yes, no = all_of[WORDS.index("yes")], all_of[WORDS.index("no")]
            into.append(float(yes / (yes + no)))
    found = blip.load(str(tmp_path), "cpu").answers(image, QUESTIONS)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert (
        np.ptp(wanted) > 1e-4 and np.abs(np.subtract(wanted, as_cls)).max() > 1e-4
    )  # the cases tell questions and rules apart


def test_nothing_is_asked_without_questions(image: np.ndarray, tmp_path: Path) -> None:
    small_blip(tmp_path)
    assert blip.load(str(tmp_path), "cpu").answers(image, []) == []


def test_files_that_are_not_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bench\.blip = no/such(.|\n)*hf download no/such"):
        blip.weights_folder("no/such")
    small_blip(tmp_path / "whole")
    before = blip.identity(str(tmp_path / "whole"))
    (tmp_path / "whole" / "model.safetensors").write_bytes(b"not weights")
    assert blip.identity(str(tmp_path / "whole")) != before
    with pytest.raises(UserError, match="cannot be loaded"):
        blip.load(str(tmp_path / "whole"), "cpu")
    (tmp_path / "whole" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no file model\.safetensors or pytorch_model\.bin"):
        blip.weights_folder(str(tmp_path / "whole"))


def test_an_empty_network_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    small_blip(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["vision_model.post_layernorm.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"its weights lack 1 tensors, the first vision_model\.post_layernorm\.weight"):
        blip.load(str(tmp_path), "cpu")


def test_an_answer_that_is_no_number_is_refused(image: np.ndarray, tmp_path: Path) -> None:
    """A mean would leave it out without a word."""
    small_blip(tmp_path)
    found = blip.load.__wrapped__(str(tmp_path), "cpu")
    with torch.no_grad():
        next(found.network.text_decoder.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"bench\.blip: the answer to '\?' is nan"):
        found.answers(image, ["?"])
