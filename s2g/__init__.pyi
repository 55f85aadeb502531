"""Types of the public names, for editors and type checkers; s2g/__init__.py loads them on first use."""

from s2g.errors import UserError as UserError
from s2g.guidance.adg import ADG as ADG
from s2g.guidance.apg import APG as APG
from s2g.guidance.autoguidance import Autoguidance as Autoguidance
from s2g.guidance.cfg import CFG as CFG
from s2g.guidance.cfg_zero import CFGZero as CFGZero
from s2g.guidance.cfgpp import CFGPP as CFGPP
from s2g.guidance.none import NoGuidance as NoGuidance
from s2g.guidance.pag import PAG as PAG
from s2g.guidance.rivals.fdg import FDG as FDG
from s2g.guidance.rivals.mambo_g import MamboG as MamboG
from s2g.guidance.rivals.nag import NAG as NAG
from s2g.guidance.rivals.rectified_cfgpp import RectifiedCFGPP as RectifiedCFGPP
from s2g.guidance.rivals.sgg import SGG as SGG
from s2g.guidance.rivals.smc_cfg import SMCCFG as SMCCFG
from s2g.guidance.rivals.stg_official import STGOfficial as STGOfficial
from s2g.guidance.rivals.tag import TAG as TAG
from s2g.guidance.rivals.tcfg import TCFG as TCFG
from s2g.guidance.rivals.tdg import TDG as TDG
from s2g.guidance.s2 import S2 as S2
from s2g.guidance.s2_naive import NaiveS2 as NaiveS2
from s2g.guidance.seg import SEG as SEG
from s2g.guidance.slg import SLG as SLG
from s2g.guidance.stg import STG as STG
from s2g.guidance.window import Window as Window
from s2g.guidance.window import Windowed as Windowed
from s2g.integrations.guide import guide as guide
from s2g.integrations.library.results import load_results as load_results
from s2g.integrations.library.run import compare as compare
from s2g.integrations.library.run import run as run
from s2g.integrations.library.sample import sample as sample
from s2g.network.architectures import register_network as register_network
from s2g.network.blocks import register_block as register_block

__version__: str
PUBLIC: dict[str, str]
