"""Make a study from stored runs: choose prompts, copy pictures under names that say nothing."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from s2g.config.typed import command, overrides_of
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.io.atomic import write_bytes, write_json
from s2g.report.html.gallery_page import labels_of
from s2g.report.media import PIXELATED, content_of, page_video, poster_uri
from s2g.rng import Purpose, philox
from s2g.scoring.score import unpaired
from s2g.store.items import png
from s2g.store.store import Store
from s2g.store.video import encoded
from s2g.study.answers import Answers
from s2g.study.folder import SPECIFICATION, Study, write_secrets
from s2g.study.material import MEDIA, Material, Method, Trial
from s2g.study.order import shuffled
from s2g.study.specification import default_text, read_specification

FEWEST, MOST_METHODS = 2, 9  # digits choose pictures
STUDY = 0  # the study's own random streams; participants have numbers from 1


def new_study(
    out: Path, runs: Sequence[Run], root: str, prompts: int, participants: int, checks: int = 0, seed: int = 0,
    specification: Path | None = None,
) -> Study:  # fmt: skip
    """Make a study in the folder `out` and return it, open.

    prompts: how many, drawn from those that all runs hold, no text twice; checks: attention checks beside them;
    specification: a study.yaml in place of the default one. UserError if runs are not of the same prompts and noise, lack
    items, or hold no pictures; nothing is left behind then.
    """
    if out.exists():
        raise UserError(f"--out {out}: is there already", todo="--out FOLDER, or remove it: its answers are lost then")
    if specification is not None:
        read_specification(specification)
    text = default_text() if specification is None else specification.read_text(encoding="utf-8")
    methods = methods_of(runs)
    items = chosen_items(runs, root, prompts, checks, seed)
    scratch = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        (scratch / MEDIA).mkdir(parents=True, mode=0o700)
        write_bytes(scratch / SPECIFICATION, text.encode())
        _material(scratch / MEDIA, runs, root, methods, items, checks, seed).write(scratch)
        write_json(scratch / "runs.json", {"runs": [run.key for run in runs]})  # s2g gc keeps them
        write_secrets(scratch)
        Answers(scratch, make=True).close()
        with Study.open(scratch) as study:
            study.invite(participants)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Study.open(out)


def methods_of(runs: Sequence[Run]) -> tuple[Method, ...]:
    """Return the methods of runs; UserError if they cannot be held side by side."""
    if not FEWEST <= len(runs) <= MOST_METHODS:
        raise UserError(f"{len(runs)} runs", allowed=f"{FEWEST} to {MOST_METHODS} different ones")
    first, labels = runs[0], labels_of(runs)
    for run in runs[1:]:
        if reason := unpaired(run, first):
            raise UserError(f"{run.key}: not the same prompts and noise as {first.key} ({reason})", allowed="paired runs")
    if len({(run.model.video_fps, run.model.film) if run.model.frames else None for run in runs}) > 1:
        raise UserError("runs of images and of videos, or of videos stored in different ways", allowed="runs of one kind")
    names: list[str] = []
    for run in runs:
        plain = re.sub(r"[^a-z0-9_]+", "_", run.name.lower()).strip("_")
        names.append(plain if plain not in names else f"{plain}_{len(names) + 1}")
    return tuple(Method(name, labels[run.key], run.key) for name, run in zip(names, runs, strict=True))


def chosen_items(runs: Sequence[Run], root: str, prompts: int, checks: int, seed: int) -> list[int]:
    """Return items with different prompts, drawn at random from those that all runs asked for; UserError if they are few."""
    num, bench, count = min(run.num for run in runs), runs[0].bench, prompts + checks
    by_caption: dict[str, int] = {}
    for item in shuffled(num, seed, STUDY):
        by_caption.setdefault(bench.caption(item), item)
    if not 1 <= count <= len(by_caption):
        raise UserError(
            f"--prompts: {prompts}" + (f", and {checks} more for --checks" if checks else ""),
            allowed=f"1 to {len(by_caption)}: the different prompts among the first {num} items of all runs",
            todo="; ".join(command(overrides_of(run.config), count) for run in runs if run.num < count),
        )
    items = list(by_caption.values())[:count]
    for run in runs:
        store = Store.of(run, root)
        if missing := {item // run.model.unit for item in items} - store.stored():
            raise UserError(
                f"{store.display_path()}: {len(missing)} units of the chosen items are missing",
                todo=f"{command(overrides_of(run.config), run.num)} makes them",
            )
    return items


def _material(
    media: Path, runs: Sequence[Run], root: str, methods: tuple[Method, ...], items: Sequence[int], checks: int, seed: int
) -> Material:
    """Write all pictures and return what they are."""
    first, sha256, trials, shape = runs[0], dict[str, str](), [], ()
    fps = first.model.video_fps if first.model.frames else 0
    for at, item in enumerate(items):
        whole = shuffled(len(runs), seed, STUDY, item + 1)[0] if at >= len(items) - checks else None
        shots = []
        for number, run in enumerate(runs):
            (pixels,) = Store.of(run, root).items([item])
            _check_kind(run, pixels, shape or pixels.shape)
            shape = pixels.shape
            broken = whole not in (None, number)
            if broken:
                pixels = scrambled(pixels, seed, item, number)
            shot = secrets.token_hex(16)
            shots.append(shot)
            for ending, content in _files(run, root, item, pixels, fps, broken).items():
                write_bytes(media / f"{shot}.{ending}", content)
                sha256[f"{shot}.{ending}"] = hashlib.sha256(content).hexdigest()
        trials.append(Trial(first.bench.caption(item), item, tuple(shots), whole))
    note = f"{len(items) - checks} prompts, drawn with seed {seed} from the first {min(run.num for run in runs):,} items"
    height, width = (int(side) for side in shape[-3:-1])
    return Material(
        methods, tuple(trials), seed, width, height, fps, max(height, width) <= PIXELATED,
        f"{note} of bench {first.config['bench']['name']}, model {first.model.name}", sha256,
    )  # fmt: skip


def _check_kind(run: Run, pixels: np.ndarray, shape: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8:
        raise UserError(f"{run.key}: its items are points", allowed="runs of images or videos")
    if pixels.shape != shape:
        raise UserError(f"{run.key}: pictures of {pixels.shape}, not {shape}", allowed="pictures of one size")


def _files(run: Run, root: str, item: int, pixels: np.ndarray, fps: int, scrambled: bool) -> Mapping[str, bytes]:
    """Return the files of one picture by ending: its pixels alone, without what a stored file says of its making."""
    if not fps:
        return {"png": png(pixels)}
    poster = content_of(poster_uri(pixels))
    if max(pixels.shape[1:3]) <= PIXELATED:
        return {"mp4": page_video(pixels, fps), "png": poster}
    if run.model.film != "mp4" or scrambled:
        return {"mp4": encoded(pixels, fps), "png": poster}
    store = Store.of(run, root)
    entries = store.record(item // run.model.unit)["items"]
    return {"mp4": store.read_item(next(entry for entry in entries if entry["item"] == item)), "png": poster}


def scrambled(pixels: np.ndarray, seed: int, item: int, number: int) -> np.ndarray:
    """Return pixels [..., H, W, 3] in a random order, the same in every frame of a video."""
    height, width = pixels.shape[-3:-1]
    order = np.argsort(philox(Purpose.ORDER, seed, STUDY, item + 1, number + 1).random_raw(height * width), kind="stable")
    flat = pixels.reshape(*pixels.shape[:-3], height * width, 3)
    return np.ascontiguousarray(flat[..., order, :]).reshape(pixels.shape)
