"""`--executor`: what follows the name is what `python run.py` takes."""

from __future__ import annotations

import pytest

from s2g.cli.commands.options import executor_config
from s2g.config.schema import ExecutorConfig
from s2g.errors import UserError


def test_an_executor_is_typed_with_its_keys() -> None:
    assert executor_config("local", None) == ExecutorConfig()
    typed = executor_config("ray address=head:6379 resources={GPU:0.5}", 3)
    assert typed == ExecutorConfig("ray", 3, address="head:6379", resources={"GPU": 0.5})
    assert hash(typed) == hash(executor_config("ray address=head:6379 resources={CPU:2}", 3))  # pools are found by equality


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("rai", "executor = rai: there is no 'rai'. Did you mean 'ray'"),
        ("ray adress=auto", "executor.adress: there is no such key. Did you mean 'address'"),
        ("ray resources={GPU:-1}", "executor.resources.GPU = -1"),
        ("", "executor"),
    ],
)
def test_a_mistake_is_named(typed: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        executor_config(typed, None)
    assert str(caught.value).startswith(said)
