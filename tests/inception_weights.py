"""A file of all of Inception's numbers, drawn: the network as it is built, without a download."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import torch
from torch_fidelity import feature_extractor_inceptionv3 as fidelity


def extractor(weights: Path | None = None, features: tuple[str, ...] = ("2048", "logits_unbiased")) -> torch.nn.Module:
    """torch-fidelity's own extractor, of a file, or before any weights are loaded."""
    if weights is not None:
        return fidelity.FeatureExtractorInceptionV3("own", list(features), str(weights))
    with (
        mock.patch.object(fidelity, "load_state_dict_from_url", return_value={}),
        mock.patch.object(torch.nn.Module, "load_state_dict", return_value=None),
    ):
        return fidelity.FeatureExtractorInceptionV3("own", list(features))


def write_inception(path: Path) -> Path:
    """Random weights whose activations neither vanish nor explode."""
    torch.manual_seed(0)
    state = extractor().state_dict()
    for name, value in state.items():
        if name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        elif name == "fc.weight":
            value.normal_(0, 0.1)
        elif name == "fc.bias":
            value.normal_(0, 3)  # logits without it are other logits
    torch.save(state, path)
    return path
