"""Compiled blocks and chosen kernels of attention: the same predictions but for last digits, and no mask is a new graph."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from s2g.config.kernels import ATTENTION, COMPILE, Kernels
from s2g.errors import UserError
from s2g.network.attention import SLOT
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.network.kernels import attention_kernel, compile_blocks, compile_seconds, prepare_network
from tests.small_networks import SMALL, latents

FAMILIES = ("sit", "sd3", "flux", "wan")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def predictions(network: Any, mask: list[int], reuse: bool) -> list[torch.Tensor]:
    branches = (COND, UNCOND, Branch("cond", DropBlocks(mask)))
    with Evaluator(network, reuse) as evaluator, torch.inference_mode():
        return list(evaluator(branches, latents(network), 0.5, network.encode([0, 1])).raw.values())


@pytest.mark.slow("traces every block class of a family")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_hundred_masks_with_and_without_reuse_are_no_new_graph(family: str) -> None:
    network: Any = SMALL[family]()
    blocks, draw = len(network.blocks), random.Random(0)
    compile_blocks(network.blocks, backend="eager")  # what is a graph is decided before the backend sees it
    predictions(network, list(range(1, blocks)), False)
    predictions(network, [0], False)
    graphs = counters["stats"]["unique_graphs"]
    kinds = len({type(block) for block in network.blocks})
    assert 2 * kinds <= graphs <= 3 * 2 * kinds  # batches of two sizes; SD3's blocks are of three kinds in one class
    for number in range(100):
        predictions(network, draw.sample(range(blocks), draw.choice([1, 2, 3])), bool(number % 2))
    assert counters["stats"]["unique_graphs"] == graphs and not counters["recompiles"] and not counters["graph_break"]


@pytest.mark.slow("traces a block class twice")
def test_another_attention_kernel_does_not_run_the_graph_of_the_last_one() -> None:
    network: Any = SMALL["sit"]()
    compile_blocks(network.blocks, backend="aot_eager")
    found = {}
    for name in ("math", "flash", "math"):
        with attention_kernel(Kernels("blocks", name), "cpu"):
            found[name] = torch.stack(predictions(network, [1], False))
    for name, compiled in found.items():
        eager: Any = SMALL["sit"]()
        with attention_kernel(Kernels("none", name), "cpu"):
            assert torch.equal(torch.stack(predictions(eager, [1], False)), compiled), name
    assert not torch.equal(found["math"], found["flash"])


def test_what_cannot_be_is_refused_with_the_reason() -> None:
    for attention in ("flash", "cudnn"):
        with pytest.raises(UserError, match="CUDA has it in half precision"):
            Kernels(attention=attention).check("cuda:0", "fp32")
        Kernels(attention=attention).check("cuda:0", "bf16")
    Kernels(attention="flash").check("cpu", "fp32")
    with pytest.raises(UserError, match="graphs record where it lies"):
        Kernels("graphs").check("cuda", "bf16", "offload")
    Kernels("graphs").check("cuda", "bf16", "resident")
    Kernels("blocks").check("cuda", "bf16", "offload")


@pytest.mark.slow("compiles C++")
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs g++ on a CPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_predictions_are_the_eager_ones_to_rounding(family: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    network: Any = SMALL[family]()
    middle = [len(network.blocks) // 2]
    eager, before = predictions(network, middle, True), compile_seconds()
    compile_blocks(network.blocks)
    for got, want in zip(predictions(network, middle, True), eager, strict=True):
        assert (got - want).abs().max() <= 1e-5 * want.abs().max()
    assert compile_seconds() > before and any((tmp_path / "inductor").iterdir())


@pytest.mark.parametrize("name", ["math", "flash"])
@pytest.mark.parametrize("family", ["sit", "wan"])
def test_attention_by_one_kernel_is_the_same_to_rounding(family: str, name: str) -> None:
    network: Any = SMALL[family]()
    want, kernels = predictions(network, [1], True), Kernels(attention=name)
    prepare_network(network.network, network.blocks, kernels)
    with attention_kernel(kernels, "cpu"):
        enabled = torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled()
        got = predictions(network, [1], True)
    assert enabled == (name == "math", name == "flash")
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", COMPILE)
def test_blocks_are_given_the_call_that_was_asked_for(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "s2g.network.kernels.record_blocks", lambda blocks: [setattr(block, SLOT, "graphs") for block in blocks]
    )
    monkeypatch.setattr(
        "s2g.network.kernels.compile_blocks", lambda blocks: [setattr(block, SLOT, "blocks") for block in blocks]
    )
    network: Any = SMALL["sit"]()
    prepare_network(network.network, network.blocks, Kernels(value))
    assert {getattr(block, SLOT) for block in network.blocks} == {None if value == "none" else value}


def test_a_kernel_of_gpus_is_chosen_on_one() -> None:
    with attention_kernel(Kernels(attention="cudnn"), "cuda"):
        assert torch.backends.cuda.cudnn_sdp_enabled() and not torch.backends.cuda.math_sdp_enabled()
    assert torch.backends.cuda.math_sdp_enabled()


@pytest.mark.parametrize("error", [ImportError("no package flash_attn"), RuntimeError("no GPU"), ValueError("unknown")])
def test_a_kernel_whose_package_is_not_here_is_named(error: Exception) -> None:
    class Chooses(torch.nn.Module):
        processor = SimpleNamespace(_attention_backend=None)

        def set_attention_backend(self, name: str) -> None:
            raise error

    with pytest.raises(UserError, match=f"executor.attention = sage: {error}"):
        prepare_network(Chooses(), [], Kernels(attention="sage"))


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match=r"executor.compile = all"):
        Kernels(compile="all")
    with pytest.raises(UserError, match=r"executor.attention = fast"):
        Kernels(attention="fast")
    with pytest.raises(UserError, match="not on a CPU"), attention_kernel(Kernels(attention="cudnn"), "cpu"):
        pass
    sit: Any = SMALL["sit"]()
    prepare_network(sit.network, sit.blocks, Kernels(attention="native"))
    with pytest.raises(UserError, match="knows torch's own attention alone"):
        prepare_network(sit.network, sit.blocks, Kernels(attention="sage"))
    assert Kernels().facts() == {} and Kernels.of({"reuse": True}) == Kernels()
    assert all(Kernels.of(Kernels(attention=name).facts()).attention == name for name in ATTENTION)
