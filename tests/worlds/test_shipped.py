"""The weights that ship: small enough for a package, and what the documents say they are."""

from __future__ import annotations

import re
import zlib

import pytest
import torch
from safetensors.torch import load_file

from s2g.config.schema import CHECKOUT, FASHION, PACKAGE
from s2g.io.hashing import content_hash

LIMIT = 45 * 2**20  # bytes of all weights, packed as a wheel packs them


@pytest.mark.slow("packs 47 MB")
def test_all_weights_fit_into_a_package() -> None:
    files = [path for path in PACKAGE.glob("worlds/*/weights/*") if path.is_file()]
    assert len(files) > 60 and sum(len(zlib.compress(path.read_bytes())) for path in files) < LIMIT


def test_the_model_card_names_every_network_with_its_parameters_and_digest() -> None:
    card = (CHECKOUT / "docs" / "model-card.md").read_text()
    rows = re.findall(r"^\| (\w+)[^|]* \| ([\d,]+) \| ([0-9a-f]{12}) \|", card, re.MULTILINE)
    stated = {name: (int(parameters.replace(",", "")), digest) for name, parameters, digest in rows}
    files = {path.stem: path for path in PACKAGE.glob("worlds/*/weights/*.safetensors") if "mixtures" not in path.parts}
    assert stated == {
        name: (sum(value.numel() for value in load_file(path).values()), content_hash(path)[:12])
        for name, path in files.items()
    }


def test_the_photographs_model_is_the_one_that_was_trained_on_a_gpu() -> None:
    path = FASHION / "fashion_sit.safetensors"
    assert content_hash(path) == "5b8d049818ccb3b52871efccd7bf6f72a841b286ccb0fd9e6e6e90defd73315d"  # docs/fashion.md
    weights = load_file(path)
    assert sum(value.numel() for value in weights.values()) == 7_218_320 and weights["blocks.23.mlp.fc2.weight"].shape == (
        128,
        512,
    )
    assert all(value.dtype == torch.float16 and value.isfinite().all() for value in weights.values())
