"""A training that can stop and go on: network, running mean, optimisers and how far they are."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from training_recipes import Recipe

BLOCKS = ("blocks.", "transformer.transformer_blocks.", "transformer.blocks.", "text.blocks.")


@dataclass
class Training:
    """A network in training, its running mean, its optimisers and how far it is."""

    model: nn.Module
    ema: nn.Module
    optims: list[torch.optim.Optimizer]
    decay: float  # of the running mean
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, model: nn.Module, recipe: Recipe, folder: Path, device: str) -> Training:
        """Take a fresh network, or what the state stored in `folder` left of it."""
        model = model.to(device).train()
        ema = copy.deepcopy(model).eval().requires_grad_(False)
        training = cls(model, ema, optimisers(model, recipe), recipe.ema)
        if (stored := folder / "state.pt").exists():
            state = torch.load(stored, weights_only=True, map_location=device)
            model.load_state_dict(state["model"])
            ema.load_state_dict(state["ema"])
            for optim, saved in zip(training.optims, state["optims"], strict=True):
                optim.load_state_dict(saved)
            training.step, training.seconds = state["step"], state["seconds"]
        return training

    def store(self, folder: Path) -> None:
        """Write the state, whole or not at all."""
        state = {"model": self.model.state_dict(), "ema": self.ema.state_dict()}
        state |= {"optims": [o.state_dict() for o in self.optims], "step": self.step, "seconds": self.seconds}
        torch.save(state, folder / "state.tmp")
        os.replace(folder / "state.tmp", folder / "state.pt")

    @torch.no_grad()
    def average(self) -> None:
        """Move the running mean towards the network, faster during the first steps."""
        decay = min(self.decay, self.step / (9 + self.step))
        for kept, new in zip(self.ema.state_dict().values(), self.model.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def optimisers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Build Muon for the matrices of a transformer's blocks (what reads samples has none), AdamW for everything else."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if recipe.muon and name.startswith(BLOCKS) and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in chosen]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=recipe.lr, weight_decay=0.0, betas=recipe.betas)]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=recipe.lr, weight_decay=recipe.decay, adjust_lr_fn="match_rms_adamw"))
    return found
