"""Inside the block torch runs on one thread; afterwards the previous number is restored."""

from __future__ import annotations

import pytest
import torch

from s2g.io.one_thread import one_thread


def test_the_number_of_threads_is_one_inside_and_restored_after_an_error() -> None:
    torch.set_num_threads(2)
    inside = []

    @one_thread()
    def fail() -> None:
        inside.append(torch.get_num_threads())
        raise ArithmeticError

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            fail()
        assert torch.get_num_threads() == 2
    assert inside == [1, 1]
