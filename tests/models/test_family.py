"""Families: one record each, plans for every model, former names, and keys that stay what they were."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import s2g
from s2g.config.registry import MODELS
from s2g.config.schema import CHECKOUT, config_dir, model_names
from s2g.engine.cost import full_pass
from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError

NAMES = sorted(path.stem for path in (config_dir() / "model").glob("*.yaml"))
RESULTS = CHECKOUT / "experiments" / "results"


@pytest.mark.slow("plans every model")
@pytest.mark.parametrize("name", NAMES)
def test_every_model_can_be_planned(name: str, composed: Callable[..., dict]) -> None:
    plan = outline(composed(f"model={name}", "guidance=cfg"))
    assert plan.unbuilt is None
    cost = full_pass(plan.model)
    assert len(cost.blocks) == plan.model.blocks
    assert (cost.total > 0) == plan.model.traits.trained  # the closed form has no matrix products, which alone are counted


def test_every_record_leads_to_an_adapter_and_every_model_to_a_record() -> None:
    assert {name: family.load().__name__ for name, family in MODELS.entries.items()}["sd3"] == "SD3Denoiser"
    assert model_names(lambda family: bool(family.adapter)) == NAMES
    assert model_names(lambda family: family.reads_any_text and not family.makes_videos) == ["flux", "sd3", "sd35"]
    assert not MODELS.find("vit").trained and not MODELS.find("vit").random
    with pytest.raises(UserError, match="'tiny_wam'"):
        MODELS.load("tiny_wam")


@pytest.mark.parametrize(
    ("model", "former", "bench", "table"),
    [("tiny_sd3", "captioned", "shapes_t2i", "table1"), ("tiny_wan", "moving", "shapes_t2v", "table3")],
)
def test_a_renamed_family_keeps_its_keys_and_its_former_name(
    model: str, former: str, bench: str, table: str, composed: Callable[..., dict]
) -> None:
    committed = json.loads((RESULTS / f"{table}-tiny.runs.json").read_text())["runs"]
    raw = composed(f"model={model}", f"bench={bench}", "guidance=cfg")
    run = resolve(raw)[0]
    assert run.key in committed and run.model.family == model
    raw["model"] = {**raw["model"], "family": former}
    again = resolve(raw)[0]
    assert again.key == run.key and again.model == run.model


def test_nobody_asks_for_a_family_by_name() -> None:
    for path in Path(s2g.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                family, *others = (node.left, *node.comparators)
                named = any(isinstance(part, ast.Constant) for other in others for part in ast.walk(other))
                asked = any(isinstance(part, ast.Attribute) and part.attr == "family" for part in ast.walk(family))
                assert not (named and asked), f"{path}:{node.lineno}"
