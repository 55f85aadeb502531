"""The small pipelines, built once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.small_pipelines import BUILD


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    built: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in built:
            built[name] = BUILD[name][0](tmp_path_factory.mktemp(name))
        return built[name]

    return get
