"""S2G: S2-Guidance and the bench on which training-free guidance of diffusion models is measured.

Names are loaded on first use: importing s2g imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name -> the module that holds it.
PUBLIC = {
    "ADG": "s2g.guidance.adg",
    "APG": "s2g.guidance.apg",
    "Autoguidance": "s2g.guidance.autoguidance",
    "CFG": "s2g.guidance.cfg",
    "CFGPP": "s2g.guidance.cfgpp",
    "CFGZero": "s2g.guidance.cfg_zero",
    "FDG": "s2g.guidance.rivals.fdg",
    "MamboG": "s2g.guidance.rivals.mambo_g",
    "NAG": "s2g.guidance.rivals.nag",
    "NaiveS2": "s2g.guidance.s2_naive",
    "NoGuidance": "s2g.guidance.none",
    "PAG": "s2g.guidance.pag",
    "RectifiedCFGPP": "s2g.guidance.rivals.rectified_cfgpp",
    "S2": "s2g.guidance.s2",
    "SEG": "s2g.guidance.seg",
    "SGG": "s2g.guidance.rivals.sgg",
    "SLG": "s2g.guidance.slg",
    "SMCCFG": "s2g.guidance.rivals.smc_cfg",
    "STG": "s2g.guidance.stg",
    "STGOfficial": "s2g.guidance.rivals.stg_official",
    "TAG": "s2g.guidance.rivals.tag",
    "TCFG": "s2g.guidance.rivals.tcfg",
    "TDG": "s2g.guidance.rivals.tdg",
    "UserError": "s2g.errors",
    "Window": "s2g.guidance.window",
    "Windowed": "s2g.guidance.window",
    "compare": "s2g.integrations.library.run",
    "guide": "s2g.integrations.guide",
    "load_results": "s2g.integrations.library.results",
    "register_block": "s2g.network.blocks",
    "register_network": "s2g.network.architectures",
    "run": "s2g.integrations.library.run",
    "sample": "s2g.integrations.library.sample",
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 's2g' has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    try:
        value = getattr(import_module(PUBLIC[name]), name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "s2g":  # a fault of ours, no package to install
            raise
        raise ImportError(f"s2g.{name} needs the package {missing.name}: pip install '.[bench]' in a checkout") from missing
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
