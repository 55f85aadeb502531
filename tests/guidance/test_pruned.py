"""The pruned network: every plain evaluation without the blocks, and nothing else changed."""

from __future__ import annotations

import pytest
import torch
from guidance.cases import step_at

from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.none import NoGuidance
from s2g.guidance.pruned import Pruned
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks

WITHOUT = DropBlocks({2, 5})


def test_every_evaluation_is_without_the_blocks_and_the_base_gets_them() -> None:
    a_step = step_at()
    method = Pruned(CFG(3.0), layers=(2, 5))
    cond, uncond = Branch("cond", WITHOUT), Branch("uncond", WITHOUT)
    assert method.branches(a_step) == [cond, uncond]
    a, b = torch.randn(2, 1, 3, 4, 4)
    found = method.combine({cond: a, uncond: b}, a_step, method.start())
    assert torch.equal(found, CFG(3.0).combine({COND: a, UNCOND: b}, a_step, None))
    assert Pruned(NoGuidance(), layers=(2, 5)).branches(a_step) == [cond]


def test_no_block_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to leave out"):
        Pruned(layers=())
