"""Images and videos to take away: files named after item and prompt, with what made each inside it and in prompts.jsonl."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.store.items import png
from s2g.store.store import Store

LONGEST_SLUG = 80  # letters of a prompt in a file's name
LIST = "prompts.jsonl"


def slug(prompt: str) -> str:
    """Return a prompt as part of a file name: a-z, 0-9 and hyphens; "" if it has no such letters."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_SLUG].strip("-")


def file_name(item: int, prompt: str, suffix: str) -> str:
    """Return "000012-a-red-circle.png"; unique by item, whatever the file system makes of case."""
    return f"{'-'.join(filter(None, (f'{item:06d}', slug(prompt))))}{suffix}"


def facts_of(run: Run, item: int) -> dict[str, str | int]:
    """Return what made an item: its noise is number `noise` of `seed`."""
    seed, noise = run.bench.streams([item]).get(item, (run.seed, item))
    prompt = run.bench.caption(item)
    return {"prompt": prompt, "method": run.name, "key": run.key, "item": item, "seed": seed, "noise": noise}


def files_of(run: Run, store: Store, num: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the first `num` items' files, then of prompts.jsonl: a line for each with its facts.

    DamageError if an item is not what was written; UserError if items were not kept or are points.
    """
    lines = []
    for item in range(num):
        facts = facts_of(run, item)
        suffix, content = _content(run, store, item)
        if suffix == ".png":
            content = with_text(content, facts)
        name = file_name(item, str(facts["prompt"]), suffix)
        lines.append(json.dumps({"file": name, **facts}, ensure_ascii=False))
        yield name, content
    yield LIST, ("\n".join(lines) + "\n").encode()


def with_text(content: bytes, facts: dict[str, str | int]) -> bytes:
    """Return a PNG with facts as text chunks: tEXt, or iTXt for what is beyond Latin-1. The pixels stay."""
    info, stream = PngInfo(), io.BytesIO()
    for name, value in facts.items():
        info.add_text(name, str(value))
    Image.open(io.BytesIO(content)).save(stream, format="PNG", pnginfo=info)
    return stream.getvalue()


def _content(run: Run, store: Store, item: int) -> tuple[str, bytes]:
    """Return the ending and bytes of an item's file."""
    entry = next(entry for entry in store.record(item // run.model.unit)["items"] if entry["item"] == item)
    if "row" not in entry and "file" in entry:
        return Path(entry["file"]).suffix, store.read_item(entry)
    value = store.items([item])[0]
    if value.dtype != np.uint8:
        raise UserError(f"{store.display_path()}: its items are points", allowed="runs of images or videos")
    return ".png", png(value)
