"""The page of GPU measurements: its tables are those of the JSON files beside it."""

from __future__ import annotations

import json
import re

from gpu_measuring import OUT
from gpu_page import every_way, measured, summary


def test_the_page_says_what_its_files_say() -> None:
    page = (OUT / "README.md").read_text()
    for lines in (summary(), every_way()):
        assert "\n".join(lines) in page, "python scripts/gpu_page.py prints the tables"
    for stem in ("sd3_medium", "sit_xl", "wan_1_3b"):
        command = json.loads((OUT / f"{stem}.json").read_text())["command"]
        assert f"`{command}`" in re.sub(r"\s+", " ", page)


def test_numbers_by_hand() -> None:
    """1.4030374 / 1.0942510 seconds and 151.456407552 / 118.621421568 TFLOP of SiT in bf16, read off the file."""
    line = next(each for each in summary() if "SiT-XL/2" in each and "bf16" in each)
    assert line.split(" | ")[1:] == ["1.077", "1.094", "1.016", "1.362", "1.282", "1.277", "37% |"]
    assert [len(rows) for _, rows in measured().values()] == [4] * 5 and len(every_way()) == 2 + 20
