"""Names to classes, loaded on first use: listing what exists imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from s2g.config.family import Family, import_object
from s2g.errors import unknown


@dataclass(frozen=True)
class Entry:
    """Where a name leads ("package.module:attribute") and what it is, in one line."""

    target: str
    summary: str


def where_listed(key: str) -> str:
    """Return what to do about an unknown name under `key`."""
    own = "; a method of your own: --with FILE.py after the command" if key == "guidance" else ""
    return f"s2g ls lists what there is{own}"


class Registry:
    """A table of names; `key` is the configuration key under which a user types them."""

    def __init__(self, key: str, entries: dict[str, Entry]) -> None:
        self.key = key
        self.entries: dict[str, Any] = dict(entries)

    def add(self, name: str, target: str, summary: str) -> None:
        """Add or replace a name in this process: how a user's own class joins.

        A worker process imports s2g again: it knows a class by the pickled reference to it (s2g/config/plugins.py).
        """
        self.entries[name] = Entry(target, summary)

    def check(self, name: str) -> None:
        """Raise UserError with the nearest name if there is no `name`."""
        if name not in self.entries:
            raise unknown(self.key, name, self.entries, todo=where_listed(self.key))

    def load(self, name: str) -> Any:
        """Return the class behind `name`; UserError if there is none."""
        self.check(name)
        return import_object(self.entries[name].target)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)


class Families(Registry):
    """Model families by name; the records are read on first use."""

    def __init__(self, key: str, records: str) -> None:
        """records: "package.module:attribute" of a sequence of Family."""
        self.key, self.records = key, records
        self.own: list[str] = []  # models of the user, each a family of its own; they have no file in configs/

    @cached_property
    def entries(self) -> dict[str, Any]:  # type: ignore[override]
        return {family.name: family for family in import_object(self.records)}

    def add(self, name: str, target: str, summary: str, **facts: Any) -> None:
        """Add or replace a family with its adapter at `target`; facts: further fields of Family."""
        self.entries[name] = Family(name, summary, target, **facts)

    def current_name(self, name: str) -> str:
        """Return a family's name, also where its former one is given; what is unknown comes back as it is."""
        return next((family.name for family in self.entries.values() if family and name == family.hashed_name), name)

    def find(self, name: str) -> Family:
        """Return the record of a family; where there is no such family, one that says it can do nothing."""
        return self.entries.get(name) or Family(name, "not built", "", trained=False)

    def load(self, name: str) -> Any:
        """Return a family's adapter class; UserError if there is no such family."""
        self.check(name)
        return self.entries[name].load()

    def names(self, wanted: Callable[[Family], bool]) -> list[str]:
        """Return the names of the families that `wanted` selects."""
        return [name for name, family in self.entries.items() if family and wanted(family)]


GUIDANCE = Registry(
    "guidance",
    {
        "none": Entry("s2g.guidance.none:NoGuidance", "the conditional prediction alone"),
        "cfg": Entry("s2g.guidance.cfg:CFG", "classifier-free guidance (arXiv 2207.12598)"),
        "cfgpp": Entry("s2g.guidance.cfgpp:CFGPP", "CFG++, renoised with uncond (arXiv 2406.08070)"),
        "apg": Entry("s2g.guidance.apg:APG", "adaptive projected guidance (arXiv 2410.02416)"),
        "cfg_zero": Entry("s2g.guidance.cfg_zero:CFGZero", "CFG-Zero*, optimised scale and zero-init (arXiv 2503.18886)"),
        "adg": Entry("s2g.guidance.adg:ADG", "angle-domain guidance (arXiv 2506.11039)"),
        "autoguidance": Entry("s2g.guidance.autoguidance:Autoguidance", "away from a weaker network (arXiv 2406.02507)"),
        "tcfg": Entry("s2g.guidance.rivals.tcfg:TCFG", "TCFG, uncond damped to what it shares with cond (arXiv 2503.18137)"),
        "fdg": Entry("s2g.guidance.rivals.fdg:FDG", "frequency-decoupled guidance, a scale for each level (arXiv 2506.19713)"),
        "mambo_g": Entry(
            "s2g.guidance.rivals.mambo_g:MamboG", "MAMBO-G, a scale that falls where guidance is large (arXiv 2508.03442)"
        ),
        "smc_cfg": Entry("s2g.guidance.rivals.smc_cfg:SMCCFG", "SMC-CFG, CFG under sliding-mode control (arXiv 2603.03281)"),
        "rectified_cfgpp": Entry(
            "s2g.guidance.rivals.rectified_cfgpp:RectifiedCFGPP",
            "Rectified-CFG++, guidance at a predicted point (arXiv 2510.07631)",
        ),
        "sgg": Entry("s2g.guidance.rivals.sgg:SGG", "segmented guidance: CFG first, then skipped blocks (arXiv 2603.20584)"),
        "tdg": Entry("s2g.guidance.rivals.tdg:TDG", "negative control: wins scores by strength alone (arXiv 2602.22570)"),
        "s2": Entry("s2g.guidance.s2:S2", "S2-Guidance, one random sub-network a step (Eq. 4)"),
        "s2_naive": Entry("s2g.guidance.s2_naive:NaiveS2", "Naive S2-Guidance, the mean of N sub-networks (Eq. 3)"),
        "slg": Entry("s2g.guidance.slg:SLG", "skip layer guidance: chosen blocks left out (Stability-AI/sd3.5)"),
        "pruned": Entry("s2g.guidance.pruned:Pruned", "some blocks left out of every evaluation (Figure 15)"),
        "stg": Entry("s2g.guidance.stg:STG", "spatiotemporal skip guidance: blocks or attention skipped (arXiv 2411.18664)"),
        "pag": Entry("s2g.guidance.pag:PAG", "perturbed-attention guidance: attention passes values (arXiv 2403.17377)"),
        "seg": Entry("s2g.guidance.seg:SEG", "smoothed energy guidance: blurred queries (arXiv 2408.00760)"),
        "stg_official": Entry(
            "s2g.guidance.rivals.stg_official:STGOfficial", "STG by its official Wan script, which differs from its paper"
        ),
        "tag": Entry("s2g.guidance.rivals.tag:TAG", "TAG, more of a step's tangential part (arXiv 2510.04533)"),
        "nag": Entry("s2g.guidance.rivals.nag:NAG", "NAG, away from the negative text inside attention (arXiv 2505.21179)"),
    },
)
SAMPLERS = Registry(
    "sampler",
    {
        "euler": Entry("s2g.sampling.euler:Euler", "Euler steps of the flow, one evaluation each"),
        "heun": Entry("s2g.sampling.heun:Heun", "Heun steps of the flow, two evaluations each"),
        "dopri5": Entry("s2g.sampling.dopri5:Dopri5", "adaptive steps of the flow, as the SiT repository (torchdiffeq)"),
        "sde": Entry("s2g.sampling.sde:SDE", "SiT's reverse SDE, Euler-Maruyama, one evaluation a step (arXiv 2401.08740)"),
        "ddim": Entry("s2g.sampling.ddim:DDIM", "DDIM, fresh noise by eta (arXiv 2010.02502)"),
        "ddpm": Entry("s2g.sampling.ddpm:DDPM", "ancestral steps, learned or fixed variance (arXiv 2006.11239, 2102.09672)"),
        "flow_match_euler": Entry(
            "s2g.sampling.schedulers:FlowMatchEuler", "diffusers' FlowMatchEulerDiscrete, SD3's scheduler"
        ),
        "flux_euler": Entry("s2g.sampling.schedulers:FluxEuler", "the same scheduler on Flux's grid"),
        "unipc": Entry("s2g.sampling.schedulers:UniPC", "diffusers' UniPC of order 2 on flow levels, Wan's scheduler"),
        "dpmpp": Entry("s2g.sampling.schedulers:DPMpp", "diffusers' DPM-Solver++(2M) on flow levels"),
    },
)
EXECUTORS = Registry(
    "executor",
    {
        "local": Entry("s2g.engine.executors.local:LocalExecutor", "processes on this machine"),
        "ray": Entry("s2g.engine.executors.ray_executor:RayExecutor", "actors of Ray, on this machine or a cluster"),
    },
)
MODELS = Families("model.family", "s2g.models.family:FAMILIES")
STUDIES = Registry(
    "study",
    {
        "directions": Entry("s2g.experiments.studies.directions:Directions", "where S2's correction points (Figure 2)"),
        "uncertainty": Entry(
            "s2g.experiments.studies.uncertainty:Uncertainty", "whether variance over masks marks error (Eq. 13, 14)"
        ),
        "cost": Entry("s2g.experiments.studies.cost:Cost", "what an image costs, counted on the meta device (Table 5)"),
        "estimator": Entry(
            "s2g.experiments.studies.estimator:Estimator", "one mask as an estimate of the mean over masks (Eq. 26 to 29)"
        ),
        "alignment": Entry(
            "s2g.experiments.studies.alignment:Alignment", "whether sub-networks point where a weaker network does"
        ),
        "weakness": Entry("s2g.experiments.studies.weakness:Weakness", "whether sub-networks err more on unseen images"),
        "redundancy": Entry("s2g.experiments.studies.redundancy:Redundancy", "what leaving out each block changes"),
    },
)
DRAWINGS = Registry(
    "drawing.kind",
    {
        "samples": Entry("s2g.report.drawings.samples:Samples", "points of a mixture with the truth behind them"),
        "paths": Entry("s2g.report.drawings.paths:Paths", "trajectories of points from noise to data, in one dimension"),
        "vectors": Entry("s2g.report.drawings.vectors:Vectors", "CFG's push and S2's correction as vectors in the plane"),
        "blocks": Entry("s2g.report.drawings.blocks:Blocks", "what leaving out each block changes, by noise level"),
        "embedding": Entry("s2g.report.drawings.embedding:Embedding", "t-SNE of features of generated and real images"),
    },
)
BENCHES = Registry(
    "bench",
    {
        "shapes": Entry("s2g.benchmarks.shapes.bench:Shapes", "the built-in world's 108 classes, read by its probe"),
        "shapes_t2i": Entry(
            "s2g.benchmarks.shapes.captions:ShapesT2I",
            "captions of one and two objects of the built-in world, read by its reader",
        ),
        "shapes_t2v": Entry(
            "s2g.benchmarks.shapes.videos:ShapesT2V",
            "videos of one moving object of the built-in world, read by its video reader",
        ),
        "gmm": Entry("s2g.benchmarks.gmm.bench:GMM", "points of a Gaussian mixture, compared with the mixture itself"),
        "fashion": Entry("s2g.benchmarks.fashion.bench:Fashion", "ten kinds of clothes in turn, read by a classifier"),
        "digits": Entry(
            "s2g.benchmarks.two_class.digits:Digits", "two handwritten digits, read by a classifier of all ten (Figure 4)"
        ),
        "cifar": Entry(
            "s2g.benchmarks.two_class.cifar:Cifar", "CIFAR-10's automobiles and horses in CLIP's features (Figure 4)"
        ),
        "prompts": Entry("s2g.benchmarks.prompts.bench:Prompts", "your own prompts; bench.score may name preference scores"),
        "hps": Entry("s2g.benchmarks.hps.bench:HPS21", "HPSv2's prompts in four styles, scored by HPS v2.1 (docs/scores.md)"),
        "imagenet": Entry(
            "s2g.benchmarks.imagenet.bench:ImageNet", "ImageNet 256x256 by the ADM protocol: FID, sFID, IS, precision, recall"
        ),
        "folder": Entry(
            "s2g.benchmarks.folder.bench:Folder",
            "images of any model against any folder of images: FID, KID and others",
        ),
        "compbench": Entry(
            "s2g.benchmarks.compbench.bench:CompBench", "T2I-CompBench's colors, shapes and textures by BLIP-VQA; Q-Align"
        ),
        "dpg": Entry(
            "s2g.benchmarks.dpg.bench:DPG", "DPG-Bench's dense prompts by yes/no questions to mPLUG (docs/text-benches.md)"
        ),
        "geneval2": Entry(
            "s2g.benchmarks.geneval2.bench:GenEval2", "GenEval 2's prompts of 3 to 10 atoms by Soft-TIFA (docs/text-benches.md)"
        ),
        "vbench": Entry(
            "s2g.benchmarks.vbench.bench:VBench", "VBench's prompts and sixteen dimensions of video (docs/vbench.md)"
        ),
    },
)
