"""The examples on small pipelines in place of the hub's: they run, they are short, and S2 changes what they make."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import diffusers
import pytest
import torch

from s2g.config.schema import CHECKOUT
from s2g.network.blocks import RULES
from tests.offline_pipelines import FRAMES, HEIGHT, SIDE, WIDTH, flux_pipeline, sd3_pipeline, wan_pipeline
from tests.qwen_pipeline import qwen_pipeline

EXAMPLES = sorted((CHECKOUT / "examples").glob("*.py"))
IMAGE = {"height": SIDE, "width": SIDE, "num_inference_steps": 3}
VIDEO = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES, "num_inference_steps": 3}


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", CHECKOUT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with a small pipeline; the examples' bf16 becomes fp32, since small random networks vanish in bf16."""
    monkeypatch.setattr(torch, "bfloat16", torch.float32)

    def make(pipeline: Any) -> str:
        pipeline(tmp_path / "tokenizers").save_pretrained(tmp_path / "pipeline")
        return str(tmp_path / "pipeline")

    return make


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_shows(example: Path) -> None:
    lines = example.read_text().splitlines()
    assert len(lines) <= 40 and len([line for line in lines if line.strip()]) < 30
    assert lines[0].startswith('"""')


def test_sd35(place: Any) -> None:
    image = loaded("sd35").main(place(sd3_pipeline), **IMAGE)
    pipe = diffusers.StableDiffusion3Pipeline.from_pretrained(place(sd3_pipeline))
    bare = pipe("a red book on an ivory sheep", generator=torch.Generator().manual_seed(0), guidance_scale=7.5, **IMAGE).images[
        0
    ]
    assert image.size == (SIDE, SIDE) and image.tobytes() != bare.tobytes()


def test_flux(place: Any) -> None:
    assert loaded("flux").main(place(flux_pipeline), **IMAGE).size == (SIDE, SIDE)


def test_wan(place: Any) -> None:
    films = loaded("wan").main(place(wan_pipeline), **VIDEO)
    assert films["cfg"].shape == films["s2"].shape == (FRAMES, HEIGHT, WIDTH, 3) and (films["cfg"] != films["s2"]).any()


def test_modular_wan(place: Any) -> None:
    frames = loaded("modular_wan").main(place(wan_pipeline), output_type="np", **VIDEO)
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3)


def test_qwen_image(place: Any) -> None:
    assert loaded("qwen_image").main(place(qwen_pipeline), **IMAGE).size == (SIDE, SIDE)


def test_modular_sd3(place: Any) -> None:
    assert loaded("modular_sd3").main(place(sd3_pipeline), **IMAGE).size == (SIDE, SIDE)


def test_own_network() -> None:
    example = loaded("own_network")
    x, masks = example.main()
    bare, _ = example.main(omega=0.0)
    RULES.pop(("example_own_network", "Block"))
    assert not torch.equal(x, bare)
    assert [len(mask) for mask in masks] == [1, 1, 1, 0]  # the last of four steps is beyond 0.9


def test_library(tmp_path: Path) -> None:
    said = loaded("library").main(64, str(tmp_path), "sampler.steps=2")
    assert "Δ joint" in said and (tmp_path / "first.png").is_file()
