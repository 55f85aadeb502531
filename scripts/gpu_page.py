"""The tables of experiments/results/gpu/README.md, computed from the JSON files beside it.

python scripts/gpu_page.py    # prints them; a test holds the page against them
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpu_measuring import OUT

FILES = ("sd3_medium", "sit_xl", "wan_1_3b")
MODELS = {"sd3": "SD3-medium", "sd35": "SD3.5-medium", "sit": "SiT-XL/2", "wan_1_3b": "Wan2.1 1.3B"}
WORK = {
    "sd3": "1024², 28 steps",
    "sd35": "1024², 28 steps",
    "sit": "256², batch 64, 10 steps",
    "wan_1_3b": "33 frames of 480×832, 10 steps",
}
Rows = list[dict[str, Any]]


def measured() -> dict[tuple[str, str], tuple[str, Rows]]:
    """Return (model, precision) -> its JSON file's stem and its four rows: the stock way, CFG, S2 plain and S2 with reuse."""
    found: dict[tuple[str, str], tuple[str, Rows]] = {}
    for stem in FILES:
        for row in json.loads((OUT / f"{stem}.json").read_text())["rows"]:
            found.setdefault((row.get("model", "sit"), row["precision"]), (stem, []))[1].append(row)
    return found


def flops(row: Mapping[str, Any]) -> float:
    """Return a row's TFLOP an item."""
    return row["tflop_per_item"] if "tflop_per_item" in row else row["tflop_per_image"]


def to_stock(row: Mapping[str, Any]) -> float:
    """Return a row's seconds over those of the stock way."""
    return row["to_stock"] if "to_stock" in row else row["to_official"]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table's lines."""
    return [f"| {' | '.join(line)} |" if line else f"|{'---|' * len(head)}" for line in (head, [], *rows)]


def summary() -> list[str]:
    """Return the table of ratios: seconds of one way over another's, and FLOPs as counted in the same runs."""
    rows = []
    for (model, precision), (stem, (stock, cfg, plain, reuse)) in measured().items():
        name = f"{MODELS[model]}, {WORK[model]}, {precision} ([json]({stem}.json))"
        seconds = [f"{each['seconds']:.3f}" for each in (stock, cfg)]
        ratios = [
            to_stock(cfg),
            plain["seconds"] / cfg["seconds"],
            reuse["seconds"] / cfg["seconds"],
            flops(reuse) / flops(cfg),
        ]
        rows.append([name, *seconds, *(f"{ratio:.3f}" for ratio in ratios), f"{cfg['of_peak']:.0%}"])
    head = ["", "stock CFG, s", "our CFG, s", "our CFG / stock", "S² plain / our CFG", "S² with reuse / our CFG"]
    return table([*head, "the same in FLOPs", "CFG of the matrix peak"], rows)


def every_way() -> list[str]:
    """Return the table of all ways."""
    rows = []
    for (model, precision), (_, ways) in measured().items():
        for row in ways:
            images = f"{row['images_per_second']:.3f}" if "images_per_second" in row else ""
            held = f"{row['gigabytes']:.2f}" if "gigabytes" in row else ""
            numbers = [f"{row['seconds']:.3f}", f"{to_stock(row):.3f}", held, images]
            numbers += [f"{flops(row):.1f}", f"{row['tflops']:.0f}", f"{row['of_peak']:.1%}"]
            rows.append([f"{MODELS[model]}, {precision}", row["way"], *numbers])
    head = ["", "way", "seconds", "seconds / stock", "peak GB", "images/s at 250 steps", "TFLOP an item", "TFLOP/s"]
    return table([*head, "of the matrix peak"], rows)


def tables() -> str:
    """Return both tables."""
    return "\n".join([*summary(), "", *every_way()])


if __name__ == "__main__":
    print(tables())
