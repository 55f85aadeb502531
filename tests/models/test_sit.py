"""SiT: the official layout, its embeddings against straight formulas, and the adapter's signs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from s2g.engine.run import Run
from s2g.engine.worker import DTYPES
from s2g.models.sit import SiT, SiTDenoiser, initialise, position_table
from s2g.network.branch import COND, UNCOND
from s2g.network.evaluate import Evaluator


def test_xl_has_the_official_keys_shapes_and_count() -> None:
    with torch.device("meta"):
        state = SiT().state_dict()
    assert len(state) == 292 and sum(tensor.numel() for tensor in state.values()) == 675_129_632
    want = {
        "pos_embed": (1, 256, 1152),
        "x_embedder.proj.weight": (1152, 4, 2, 2),
        "t_embedder.mlp.0.weight": (1152, 256),
        "t_embedder.mlp.2.bias": (1152,),
        "y_embedder.embedding_table.weight": (1001, 1152),
        "blocks.27.attn.qkv.weight": (3456, 1152),
        "blocks.27.attn.proj.bias": (1152,),
        "blocks.27.mlp.fc1.weight": (4608, 1152),
        "blocks.27.mlp.fc2.weight": (1152, 4608),
        "blocks.27.adaLN_modulation.1.weight": (6912, 1152),
        "final_layer.linear.weight": (32, 1152),
        "final_layer.adaLN_modulation.1.weight": (2304, 1152),
    }
    assert {name: tuple(state[name].shape) for name in want} == want
    assert sum(t.numel() for name, t in state.items() if name.startswith("blocks.5.")) == 23_905_152


def test_time_is_embedded_cosine_first_without_a_factor_of_1000() -> None:
    model = SiT(size=8, width=32, depth=1, heads=2)
    seen = {}
    model.t_embedder.mlp.register_forward_pre_hook(lambda _, inputs: seen.update(angles=inputs[0]))
    model.t_embedder(torch.tensor([0.25, 1.0]))
    for row, t in enumerate((0.25, 1.0)):
        angles = [t * 10000 ** (-i / 128) for i in range(128)]
        want = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        np.testing.assert_allclose(seen["angles"][row].numpy(), want, atol=1e-6)


def test_positions_are_sines_of_columns_then_rows() -> None:
    table = position_table(16, 3)
    row, column = 2, 1
    rates = [10000 ** (-i / 4) for i in range(4)]
    want = [f(at * rate) for at in (column, row) for f in (math.sin, math.cos) for rate in rates]
    np.testing.assert_allclose(table[row * 3 + column].numpy(), want, atol=1e-6)


def test_patches_go_back_where_they_came_from() -> None:
    model = SiT(size=8, patch=2, channels=3, width=32, depth=1, heads=2, learn_sigma=False)
    images = torch.randn(2, 3, 8, 8)
    tokens = images.reshape(2, 3, 4, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(2, 16, 12)
    assert torch.equal(model.unpatchify(tokens), images)


def test_a_new_network_predicts_zero_and_its_blocks_are_identities() -> None:
    model = SiT(size=8, width=32, depth=2, heads=2, num_classes=5)
    initialise(model)
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(model(x, torch.rand(2), torch.tensor([0, 5])), torch.zeros(2, 8, 8, 8))


@pytest.fixture
def denoiser(run_of) -> SiTDenoiser:
    run: Run = run_of()
    return SiTDenoiser.load(run.model, torch.device("cpu"), DTYPES["fp32"])


def test_the_adapter_flips_sign_and_time_and_sends_no_class(denoiser: SiTDenoiser) -> None:
    x = torch.randn(2, 3, 32, 32)
    conditions = denoiser.encode([3, 7])
    with torch.no_grad():
        got = denoiser.forward(x, 0.3, conditions["cond"]).prediction
        want = -denoiser.network(x, torch.tensor([0.7, 0.7]), torch.tensor([3, 7]))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
    assert conditions["uncond"].tensors["labels"].tolist() == [108, 108]


def test_one_channel_is_decoded_to_grey(run_of) -> None:
    run: Run = run_of("model=digits_sit", "bench=digits")
    grey = SiTDenoiser.load(run.model, torch.device("cpu"), DTYPES["fp32"])
    values = torch.tensor([[-1.0, 0.0], [0.5, 2.0]])
    decoded = grey.decode(values[None, None])
    assert decoded.dtype == torch.uint8 and decoded.shape == (1, 3, 2, 2)
    assert (decoded == torch.tensor([[0, 128], [191, 255]])).all()
    assert grey.latent_shape == (1, 8, 8) and grey.token_grid == (4, 4) and len(grey.blocks) == 12


def test_the_trained_network_denoises(denoiser: SiTDenoiser) -> None:
    """Its velocity explains most of what noise - data is, and the class helps."""
    from s2g.worlds.shapes.render import render
    from s2g.worlds.shapes.world import HELD_OUT_SEED, scenes

    drawn = scenes(HELD_OUT_SEED, np.arange(64))
    data = torch.from_numpy(render(drawn) * 2 - 1)
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0))
    conditions = denoiser.encode(drawn.label.tolist())
    with torch.no_grad():
        found = {
            name: ((denoiser.forward(0.5 * data + 0.5 * noise, 0.5, conditions[name]).prediction - (noise - data)) ** 2).mean()
            for name in ("cond", "uncond")
        }
    assert found["cond"] < found["uncond"] < 0.1 * (noise - data).var()


def test_learn_sigma_channels_are_thrown_away() -> None:
    network = SiT(size=8, width=32, depth=2, heads=2, num_classes=5)
    adapter = SiTDenoiser(network, 8, 4, "batched")
    with torch.no_grad():
        output = adapter.forward(torch.randn(2, 4, 8, 8), 0.5, adapter.encode([0, 1])["cond"])
    assert output.prediction.shape == (2, 4, 8, 8) and output.variance is None


def test_decode_rounds_as_the_official_script_does(denoiser: SiTDenoiser) -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0]).view(1, 1, 1, 5)
    assert denoiser.decode(values).flatten().tolist() == [0, 0, 128, 191, 255]


def test_one_batch_of_both_equals_two_calls(denoiser: SiTDenoiser) -> None:
    x = torch.randn(3, 3, 32, 32)
    conditions = denoiser.encode([1, 2, 3])
    with Evaluator(denoiser) as evaluator:
        together = evaluator([COND, UNCOND], x, 0.4, conditions).raw
        denoiser.passes = "separate"
        apart = evaluator([UNCOND, COND], x, 0.4, conditions).raw
    for branch in (COND, UNCOND):
        torch.testing.assert_close(together[branch], apart[branch], rtol=0, atol=1e-5)
    assert evaluator.account.evaluations == 4
