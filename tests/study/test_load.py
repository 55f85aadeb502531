"""A server that is killed amid votes, and fifty participants at once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from studies_made import Form, study_of

from s2g.config.schema import CHECKOUT
from s2g.study.answers import Answers
from s2g.study.folder import Study

for needed in ("fastapi", "uvicorn"):
    pytest.importorskip(needed, reason='the extra is not installed: pip install ".[study]"')


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextmanager
def command(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`s2g study serve` in a process of its own, once it answers."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))}
    typed = [sys.executable, "-m", "s2g.cli.main", "study", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(typed, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise AssertionError(process.stdout.read() if process.stdout else "")
            try:
                assert Browser(port).ask("GET", "/robots.txt").status == 200
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Answered:
    """What the server answered."""

    status: int
    location: str
    text: str


class Browser:
    """One kept connection and how long each answer took. Of the standard library: a slower client would be timed too."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self.times: list[float] = []

    def ask(self, method: str, path: str, form: Mapping[str, str | list[str]] | None = None) -> Answered:
        body = None if form is None else urlencode(form, doseq=True)
        kind = {} if form is None else {"content-type": "application/x-www-form-urlencoded"}
        began = time.perf_counter()
        self.connection.request(method, path, body, kind)
        found = self.connection.getresponse()
        content = found.read()
        self.times.append(time.perf_counter() - began)
        return Answered(found.status, found.headers.get("location", ""), content.decode(errors="replace"))


def go_through(port: int, token: str, acknowledged: list[tuple[str, int, str]], media: bool) -> list[float]:
    """Answer pages until there are none or the server is gone; a vote counts as acknowledged once its redirect is here."""
    browser = Browser(port)
    try:
        where = re.search(rf'href="(/p/{token}/\d+)"', browser.ask("GET", f"/p/{token}").text)
        path = where[1] if where else ""
        while path:
            page = browser.ask("GET", path)
            assert page.status == 200, page.text
            form = Form(page.text)
            for picture in form.pictures if media else ():
                assert browser.ask("GET", picture).status == 200
            place = int(path.rpartition("/")[2])
            chosen = str((hash(token) + place) % 5)
            found = browser.ask("POST", path, form.fields | dict.fromkeys(form.names, chosen))
            assert found.status == 303, found.text
            acknowledged.append((token, place, chosen))
            path = found.location if found.location != f"/p/{token}" else ""
    except (OSError, HTTPException):
        pass  # the server was killed
    finally:
        browser.connection.close()
    return browser.times


@pytest.mark.slow("a server killed five times")
def test_no_acknowledged_vote_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=20, people=12) as study:
        folder, tokens = study.folder, [one.token for one in study.answers.everybody()]
    acknowledged: list[tuple[str, int, str]] = []
    port, kills = free_port(), 0
    for after in (25, 50, 90, 130, 170):
        with command(folder, port) as process:
            threads = [threading.Thread(target=go_through, args=(port, token, acknowledged, False)) for token in tokens]
            for thread in threads:
                thread.start()
            while len(acknowledged) < after and any(thread.is_alive() for thread in threads):
                time.sleep(0.002)
            kills += any(thread.is_alive() for thread in threads)  # in the middle of votes
            os.kill(process.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    assert kills == 5 and 170 <= len(acknowledged) < 240
    with Answers(folder) as answers:
        assert answers._rows("PRAGMA integrity_check") == [("ok",)]
        saved = {(one.participant, one.place): one.choices for one in answers.everything()}
        for token, place, chosen in acknowledged:
            number = answers.number_of(token)
            assert number is not None
            page = answers.page(number, place)
            assert page is not None
            assert saved[number, place] == {name: [page.shots[int(chosen)]] for name in ("detail", "color", "alignment")}
    with command(folder, port):  # and the study goes on
        for token in tokens:
            go_through(port, token, acknowledged, False)
    with Study.open(folder) as study:
        assert all(one.answered == 20 for one in study.answers.everybody())


@pytest.mark.slow("fifty participants on a server of its own")
def test_fifty_participants_at_once_meet_no_error(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=3, people=50) as study:
        folder, tokens = study.folder, [one.token for one in study.answers.everybody()]
    acknowledged: list[tuple[str, int, str]] = []
    port = free_port()
    with command(folder, port), ThreadPoolExecutor(50) as pool:
        done = [pool.submit(go_through, port, token, acknowledged, True) for token in tokens]
        every = np.concatenate([each.result() for each in done])
    assert len(acknowledged) == 150
    assert len(every) == 50 * (1 + 3 * 7)
    print(f"{len(every)} requests: median {1000 * np.median(every):.0f} ms, p95 {1000 * np.quantile(every, 0.95):.0f} ms")
    with Study.open(folder) as study:
        assert all(one.answered == 3 for one in study.answers.everybody())
