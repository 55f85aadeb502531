"""A method of your own in the command line: python own_method.py guidance=fading, or s2g COMMAND --with own_method.py."""

import sys
from dataclasses import dataclass

from s2g.cli.run import main
from s2g.config.plugins import add_method
from s2g.guidance.base import BaseMethod
from s2g.network.branch import COND, UNCOND


def fading(cond, uncond, scale, level):
    """uncond + w (cond - uncond), w from `scale` at level 1 to 1 at level 0."""
    return uncond + (1 + (scale - 1) * level) * (cond - uncond)


@dataclass(frozen=True)
class Fading(BaseMethod):
    """CFG that fades towards no guidance."""

    scale: float = 3.0

    def branches(self, step):
        return COND, UNCOND

    def combine(self, preds, step, state):
        return fading(preds[COND], preds[UNCOND], self.scale, step.level)


add_method("fading", Fading)

if __name__ == "__main__":
    sys.exit(main())
