"""Write docs/families.md: every transformer of diffusers, and whether guidance from outside works in it.

    python scripts/families_page.py [--check]

"works" is what a small random network of the class shows: leaving out blocks does what it should, and resuming is exact. Tests
hold the page to the installed diffusers (tests/network/test_families.py, tests/scripts/test_families_page.py).
"""

from __future__ import annotations

import argparse
import ast
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from diffusers.models import transformers

from s2g.integrations.diffusers.layouts import LAYOUTS
from s2g.network.architectures import blocks_of
from s2g.network.blocks import RULES
from s2g.network.control import BlockControl, Pass
from s2g.network.reuse_check import check_points
from s2g.network.watch import BlockWatch, check_order
from tests.diffusers_networks import NETWORKS

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
# Transformers that make no prediction of a diffusion model by themselves.
PARTS = {
    "DualTransformer2DModel": "a part of a U-Net",
    "MiniMaxMusic3RVQDepthDecoder": "predicts tokens, no diffusion",
    "PriorTransformer": "predicts an image embedding for a decoder",
    "T5FilmDecoder": "spectrograms, removed pipelines",
    "Transformer2DModel": "a part of a U-Net; its blocks are known (PixArt and DiT have classes of their own)",
    "TransformerTemporalModel": "a part of a U-Net",
    "DreamLiteTransformer2DModel": "a part of a U-Net",
    "UNets (UNet2DConditionModel, ...)": "no list of blocks; long skips carry more than a block's state, so that resumed passes"
    " are wrong: the reuse check finds it",
}


@dataclass(frozen=True)
class Verdict:
    """One line of the page."""

    name: str
    verdict: str
    blocks: str = ""
    edits: str = ""


def classes() -> Iterator[tuple[str, str]]:
    """Yield (class name, its source) of every model class in diffusers' transformers."""
    for module in sorted(info.name for info in pkgutil.iter_modules(transformers.__path__)):
        path = Path(transformers.__path__[0]) / f"{module}.py"
        source = path.read_text()
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and any("ModelMixin" in ast.unparse(base) for base in node.bases):
                yield node.name, ast.get_source_segment(source, node) or ""


def of_network(name: str) -> Verdict:
    """Return what a small random network shows."""
    network, inputs = NETWORKS[name]()
    blocks = blocks_of(network)
    kinds = list(dict.fromkeys(type(block).__name__ for block in blocks))

    def call() -> torch.Tensor:
        output = network(**inputs, return_dict=False)
        first = output if isinstance(output, torch.Tensor) else output[0]
        return torch.stack(first) if isinstance(first, list) else first

    with torch.no_grad(), BlockControl(blocks) as control:
        work = Pass(record=check_points(len(blocks)), watch=BlockWatch())
        with control.during(work):
            plain = call()
        check_order(work.ran, blocks)
        same = []
        for block, state in work.kept.items():
            with control.during(Pass(resume=(block, state))):
                same.append(torch.equal(call(), plain))
    edited = all(RULES["diffusers", kind].attention for kind in kinds)
    lines = "; ".join(f"{kind}: {_line(kind)}" for kind in kinds)
    verdict = "works" if all(same) else "works, without reuse: more than the blocks' state goes from block to block"
    return Verdict(name, verdict, lines, "yes" if edited else "no")


def _line(kind: str) -> str:
    rule = RULES["diffusers", kind]
    short = {"hidden_states": "h", "encoder_hidden_states": "e", "audio_hidden_states": "audio"}
    return " → ".join(", ".join(short.get(name, name) for name in names) for names in (rule.state, rule.returns))


def of_source(name: str, source: str) -> Verdict:
    """Return the verdict on a class that no test builds: refused, with the block classes that are not registered."""
    if name in PARTS:
        return Verdict(name, f"not applicable: {PARTS[name]}")
    kinds = re.findall(r"nn\.ModuleList\(\s*\[?\s*\n?\s*(\w+)\(", source)
    known = [kind for kind in dict.fromkeys(kinds) if ("diffusers", kind) in RULES]
    unknown = [kind for kind in dict.fromkeys(kinds) if ("diffusers", kind) not in RULES and kind not in ("nn", "range")]
    assert not known, f"{name} would run, its {', '.join(known)} being registered: tests/diffusers_networks.py must try it"
    return Verdict(name, f"refused: {', '.join(unknown)} not registered")


def page() -> str:
    """Return the page."""
    verdicts = [of_network(name) if name in NETWORKS else of_source(name, source) for name, source in classes()]
    verdicts += [Verdict(name, f"not applicable: {why}") for name, why in PARTS.items() if name.startswith("UNets")]
    order = ("works", "works, without", "refused", "not applicable")
    rank = {id(v): max(i for i, word in enumerate(order) if v.verdict.startswith(word)) for v in verdicts}
    verdicts.sort(key=lambda v: (rank[id(v)], v.name))
    count = sum(v.verdict.startswith("works") for v in verdicts)
    lines = [
        "# Families: in which networks guidance from outside works",
        "",
        f"Generated by `python scripts/families_page.py` from diffusers {diffusers.__version__}; do not edit.",
        "",
        f"{len(verdicts)} classes, {count} of them work. *Works* is what a small random network of the class shows in a "
        "test: a dropped block is, to the bit, one that returns its inputs; a resumed pass is, to the bit, a whole one; the "
        "blocks run in the listed order and return their state in the registered one. *Edits* are those of attention (PAG, "
        "SEG, STG's attention mode): they need to be told which tokens are text, and are refused where they are not.",
        "",
        "A class that is refused says which line to write, `s2g.register_block(Block, state=[...], returns=[...])`. For every "
        "network, known or not, the first pass of a run holds the order of the blocks and of what they return against what is "
        "registered, and one and a half extra calls show once whether passes may resume.",
        "",
        "In the lines, h stands for `hidden_states` and e for `encoder_hidden_states`.",
        "",
        "| Network | Verdict | Block: state → returns | Edits |",
        "|---|---|---|---|",
        *(f"| {v.name} | {v.verdict} | {v.blocks} | {v.edits} |" for v in verdicts),
        "",
        "## Pipelines",
        "",
        "Whole loops that `s2g.guide` knows. Both conditions in one call: "
        + ", ".join(f"`{name}`" for name, layout in sorted(LAYOUTS.items()) if layout.passes == "batched")
        + ". One call each: "
        + ", ".join(f"`{name}`" for name, layout in sorted(LAYOUTS.items()) if layout.passes == "separate")
        + ". Any other is refused with the line to write.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is the committed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the committed page differs")
    text = page()
    if parser.parse_args(arguments).check:
        return int(text != PAGE.read_text())
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
