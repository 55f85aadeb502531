"""Files of DPG-Bench in small: questions with parents in a CSV file, and prompts beside it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS = ["item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed", "tuple"]
COLUMNS += ["question_natural_language"]
Rows = Mapping[str, Sequence[tuple[int, str, str, str]]]  # by ID: (number, dependency, tuple, question)
PROMPTS: Rows = {
    "partiprompts97": [  # the first: the official script does not read its question 1
        (1, "0", "entity - whole (dog)", "Is there a dog?"),
        (2, "1", "attribute - color (dog, brown)", "Is the dog brown?"),
    ],
    "COCOval1": [
        (1, "0", "entity - whole (cat)", "Is there a cat?"),
        (2, "1", "entity - part (cat, ear)", "Does the cat have an ear?"),
        (3, "2", "attribute - color (ear, red)", "Is the ear red?"),
        (4, "0", "global - (photo)", "Is it a photo?"),
        (5, "1, 4", "relation - spatial (cat, photo, in)", "Is the cat in the photo?"),
    ],
    "COCOval2": [(1, "0", "other - count (cups, ==2)", "Are there two cups?"), (2, "0", "entity - whole (cup)", "A cup?")],
}


def write(folder: Path, prompts: Rows = PROMPTS, texts: bool = True) -> Path:
    """Write dpg_bench.csv and, unless told otherwise, prompts/ID.txt; return the folder."""
    (folder / "prompts").mkdir(parents=True, exist_ok=True)
    with (folder / "dpg_bench.csv").open("w", newline="") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(COLUMNS)
        for name, questions in prompts.items():
            for number, parents, about, question in questions:
                out.writerow([name, f"a prompt, of {name}", "", number, parents, "", "", about, question])
    if not texts:
        (folder / "prompts").rmdir()
        return folder
    for name in prompts:
        (folder / "prompts" / f"{name}.txt").write_text(f"a prompt, of {name}\n")
    return folder
