"""Small studies of pictures whose color says which method made them, for the tests of studies."""

from __future__ import annotations

import atexit
import functools
import io
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from s2g.config.compose import compose_unresolved, plain_data
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.store.items import STILL, Film
from s2g.store.store import Store
from s2g.study.folder import Study
from s2g.study.material import Method
from s2g.study.new import new_study

METHODS = ("cfg", "apg", "cfgpp", "cfg_zero", "s2")
FACTS = {
    "environment": "",
    "device": "cpu",
    "seconds": 1.0,
    "network_seconds": 1.0,
    "evaluations": 1.0,
    "flops": 1.0,
    "peak_memory": 0,
}


def prompt(item: int) -> str:
    """The prompt of an item: words that the built-in models know, 30 different ones."""
    colors, shapes = ("red", "green", "blue", "yellow", "purple"), ("circle", "square", "triangle", "star", "ring", "cross")
    return f"a {colors[item % 5]} {shapes[item // 5 % 6]}"


def run_of(method: str, prompts: int, video: bool, *more: str) -> Run:
    """A run of a built-in text model on prompts that are all different."""
    text = ",".join(prompt(number) for number in range(prompts))
    kind = ("model=tiny_wan", "bench=prompts_video") if video else ("model=tiny_sd3", "bench=prompts")
    return resolve(plain_data(compose_unresolved((*kind, f"bench.text=[{text}]", f"guidance={method}", *more))))[0]


def level(number: int) -> int:
    """The red of every picture of method `number`."""
    return 40 + 20 * number


def picture(number: int, item: int, video: bool) -> np.ndarray:
    """A picture [32, 32, 3], or video [8, 16, 16, 3], of method `number`: its red says which; the square, which item."""
    shape = (8, 16, 16, 3) if video else (32, 32, 3)
    pixels = np.full(shape, (level(number), 90, 60), np.uint8)
    side = 2 + item % 5
    pixels[..., 2 : 2 + side, 2 : 2 + 2 * side, 1:] = (220, 10 * (item % 20))
    if video:
        for frame in range(8):
            pixels[frame, 10:14, frame : frame + 4, 2] = 255
    return pixels


def store_pictures(run: Run, root: Path, number: int) -> Run:
    """Store all items of a run without sampling them."""
    store = Store.of(run, root)
    store.begin(run, True)
    video = bool(run.model.frames)
    film = Film(run.model.film, run.model.video_fps) if video else STILL
    for unit in run.units:
        items = run.unit(unit).items
        values = np.stack([picture(number, item, video) for item in items])
        with store.exclusive() as scratch:
            store.put(unit, items, values, dict(FACTS), scratch, film=film)
    return run


def stored_runs(root: Path, prompts: int = 6, methods: Sequence[str] = METHODS, video: bool = False) -> list[Run]:
    """Runs of these methods with all their items, under `root`."""
    return [store_pictures(run_of(method, prompts, video), root, number) for number, method in enumerate(methods)]


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="studies-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _stored(prompts: int, video: bool) -> tuple[Path, list[Run]]:
    root = _folder() / f"runs-{prompts}-{video}"
    return root, stored_runs(root, prompts, video=video)


@functools.cache
def _made(prompts: int, people: int, video: bool, checks: int) -> Path:
    """A study that tests copy: each gets its own answers, all have the same links."""
    folder, (root, runs) = _folder() / f"study-{prompts}-{people}-{video}-{checks}", _stored(prompts + checks, video)
    new_study(folder, runs, str(root), prompts, people, checks).answers.close()
    return folder


def study_of(folder: Path, prompts: int = 3, people: int = 3, video: bool = False, checks: int = 0, text: str = "") -> Study:
    """A study of five methods in folder/study, open; text: its study.yaml."""
    shutil.copytree(_made(prompts, people, video, checks), folder / "study")
    if text:
        (folder / "study" / "study.yaml").write_text(text)
    return Study.open(folder / "study")


def method_in(content: bytes, methods: Sequence[Method]) -> str:
    """The method that made a PNG, read off its red."""
    red = int(np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[-1, -1, 0])
    return methods[(red - 40) // 20].name


class Form(HTMLParser):
    """What a page's form would send as it stands, and the pictures in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.names: list[str] = []
        self.pictures: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        if tag == "input" and about.get("name"):
            name = str(about["name"])
            if about.get("type") not in ("checkbox", "radio"):
                self.fields[name] = [str(about.get("value"))]
            elif name not in self.names:
                self.names.append(name)
            if "checked" in about:
                self.fields.setdefault(name, []).append(str(about["value"]))
        if tag == "img":
            self.pictures.append(str(about["src"]))


def answer(client: object, link: str, choose: Callable[[str, str, list[str]], list[int]], pages: int = 1000) -> int:
    """Answer up to `pages` pages from a link on as `choose(prompt, criterion, media)` says; return how many were saved.

    client: of starlette's tests or httpx. AssertionError if a page, a picture or a vote is not answered as it should be.
    """
    page = client.get(link)  # type: ignore[attr-defined]
    start = re.search(rf'href="({link}/\d+)"', page.text)
    saved, address = 0, start[1] if (start and "Begin" in page.text) or "Go on" in page.text else ""
    while address and saved < pages:
        page = client.get(address)  # type: ignore[attr-defined]
        assert page.status_code == 200, page.text
        form = Form(page.text)
        prompt = re.search(r'<h1 class="prompt"[^>]*>(.*?)</h1>', page.text)[1]  # type: ignore[index]
        for name in form.names:
            form.fields[name] = [str(at) for at in choose(prompt, name, form.pictures)]
        found = client.post(address, data=form.fields, follow_redirects=False)  # type: ignore[attr-defined]
        assert found.status_code == 303, found.text
        saved += 1
        address = found.headers["location"] if re.search(r"/\d+$", found.headers["location"]) else ""
    return saved
