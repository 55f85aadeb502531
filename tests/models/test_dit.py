"""DiT: the published size, against diffusers' on shared weights, its timesteps and variance, and its blocks under control."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import DiTTransformer2DModel
from torch import Tensor

from s2g.engine.resolve import outline
from s2g.engine.worker import cost_of
from s2g.errors import UserError
from s2g.models.dit import DiTDenoiser
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from tests.small_networks import all_masks, randomise

DEPTH, WIDTH, CLASSES = 4, 32, 10


def network() -> SiT:
    made = randomise(SiT(size=8, patch=2, channels=4, width=WIDTH, depth=DEPTH, heads=2, num_classes=CLASSES))
    assert isinstance(made, SiT)
    return made


@pytest.fixture
def dit() -> DiTDenoiser:
    return DiTDenoiser(network(), 8, 4, "batched")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "kind"), [("sit_xl", SiTDenoiser), ("dit_xl", DiTDenoiser)])
def test_the_configured_networks_have_the_published_size_and_cost(
    name: str, kind: type[SiTDenoiser], composed: Callable[..., dict]
) -> None:
    model = outline(composed(f"model={name}", "bench=imagenet", "guidance=cfg")).model
    twin = kind.meta_model(model)
    state = twin.network.state_dict()
    assert len(state) == 292 and sum(tensor.numel() for tensor in state.values()) == 675_129_632
    assert {"pos_embed", "x_embedder.proj.bias", "t_embedder.mlp.2.weight", "final_layer.adaLN_modulation.1.bias"} < set(state)
    assert state["final_layer.linear.weight"].shape == (32, 1152)
    assert len(twin.blocks) == model.blocks == 28
    assert cost_of(twin).total == 237_242_843_136


def diffusers_names(depth: int) -> dict[str, str]:
    """Official names (without .weight, .bias) by diffusers' names; qkv apart."""
    names = {
        "pos_embed.proj": "x_embedder.proj",
        "proj_out_1": "final_layer.adaLN_modulation.1",
        "proj_out_2": "final_layer.linear",
    }
    for i in range(depth):
        theirs, ours = f"transformer_blocks.{i}", f"blocks.{i}"
        names |= {
            f"{theirs}.norm1.emb.timestep_embedder.linear_1": "t_embedder.mlp.0",
            f"{theirs}.norm1.emb.timestep_embedder.linear_2": "t_embedder.mlp.2",
            f"{theirs}.norm1.linear": f"{ours}.adaLN_modulation.1",
            f"{theirs}.attn1.to_out.0": f"{ours}.attn.proj",
            f"{theirs}.ff.net.0.proj": f"{ours}.mlp.fc1",
            f"{theirs}.ff.net.2": f"{ours}.mlp.fc2",
        }
    return names


def twin_of_diffusers(ours: SiT) -> DiTTransformer2DModel:
    theirs = DiTTransformer2DModel(
        sample_size=8,
        num_layers=DEPTH,
        num_attention_heads=2,
        attention_head_dim=16,
        out_channels=8,
        num_embeds_ada_norm=CLASSES,
    ).eval()
    state = ours.state_dict()
    found = {f"{to}.{end}": state[f"{name}.{end}"] for to, name in diffusers_names(DEPTH).items() for end in ("weight", "bias")}
    for i in range(DEPTH):
        block = f"transformer_blocks.{i}"
        found[f"{block}.norm1.emb.class_embedder.embedding_table.weight"] = state["y_embedder.embedding_table.weight"]
        for end in ("weight", "bias"):
            parts = state[f"blocks.{i}.attn.qkv.{end}"].chunk(3)
            found |= {f"{block}.attn1.to_{which}.{end}": part for which, part in zip("qkv", parts, strict=True)}
    missing, extra = theirs.load_state_dict(found, strict=False)
    assert not extra and set(missing) <= {"pos_embed.pos_embed"}
    theirs.pos_embed.pos_embed = state["pos_embed"]
    return theirs


@pytest.mark.parametrize("t", [0, 5, 500, 999])
def test_it_is_diffusers_dit_once_that_ones_frequencies_are_the_official(dit: DiTDenoiser, t: int) -> None:
    theirs, x = twin_of_diffusers(dit.network), drawn(2, 4, 8, 8)
    labels = torch.tensor([3, CLASSES])
    with torch.no_grad():
        ours = dit.network(x, torch.full((2,), float(t)), labels)
        before = theirs(x, timestep=torch.full((2,), t), class_labels=labels).sample
        for block in theirs.transformer_blocks:
            block.norm1.emb.time_proj.downscale_freq_shift = 0
            block.norm3.eps = 1e-6  # theirs is 1e-5: 2e-5 of these outputs, where the frequencies are a percent and more
        after = theirs(x, timestep=torch.full((2,), t), class_labels=labels).sample
    size = ours.norm()
    assert (after - ours).norm() < 1e-6 * size
    assert t < 500 or (before - ours).norm() > 1e-2 * size  # as it ships, it is another network


def test_it_is_told_the_timestep_and_gives_noise_and_variance(dit: DiTDenoiser) -> None:
    x, conditions = drawn(2, 4, 8, 8), dit.encode([3, 7])
    with torch.no_grad():
        got = dit.forward(x, 0.9, conditions["cond"], torch.tensor(750))
        want = dit.network(x, torch.tensor([750.0, 750.0]), torch.tensor([3, 7]))
    assert torch.equal(got.prediction, want[:, :4])
    assert got.variance is not None and torch.equal(got.variance, want[:, 4:])
    assert conditions["uncond"].tensors["labels"].tolist() == [CLASSES, CLASSES]
    alpha, sigma = dit.convention.coefficients(0.3)
    assert alpha**2 + sigma**2 == pytest.approx(1)
    with pytest.raises(UserError, match="linear"):
        dit.forward(x, 0.9, conditions["cond"])


@pytest.mark.parametrize("kind", [SiTDenoiser, DiTDenoiser])
def test_a_sub_network_is_the_same_with_and_without_prefix_reuse(kind: type[SiTDenoiser]) -> None:
    adapter, x, told = kind(network(), 8, 4, "batched"), drawn(2, 4, 8, 8), torch.tensor(600)
    conditions = adapter.encode([1, 2])
    for mask in all_masks(DEPTH, most=2):
        branch = Branch("cond", DropBlocks(mask))
        found = []
        for reuse in (True, False):
            with Evaluator(adapter, reuse=reuse) as evaluator:
                found.append(evaluator([COND, UNCOND, branch], x, 0.6, conditions, told).raw)
        torch.testing.assert_close(found[0][branch], found[1][branch], rtol=1e-5, atol=1e-6)
        assert (found[1][branch] - found[1][COND]).abs().max() > 1e-3
        kept = [block for i, block in enumerate(adapter.network.blocks) if i not in mask]
        whole, adapter.network.blocks = adapter.network.blocks, torch.nn.ModuleList(kept)
        with torch.no_grad():
            alone = adapter.forward(x, 0.6, conditions["cond"], told).prediction
        adapter.network.blocks = whole
        torch.testing.assert_close(found[1][branch], alone, rtol=1e-5, atol=1e-6)
