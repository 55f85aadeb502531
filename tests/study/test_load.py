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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies_made import Form, study_of

from s2g.config.schema import CHECKOUT
from s2g.study.answers import Answers
from s2g.study.folder import Study

for needed in ("fastapi", "uvicorn", "httpx"):
    pytest.importorskip(needed, reason='the extra is not installed: pip install "s2g[study]"')
import httpx  # noqa: E402


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
                httpx.get(f"http://127.0.0.1:{port}/robots.txt", timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def go_through(address: str, token: str, acknowledged: list[tuple[str, int, str]], times: list[float], media: bool) -> None:
    """Answer pages until there are none or the server is gone; a vote counts as acknowledged once its redirect is here."""

    def timed(ask: Any, *arguments: Any, **more: Any) -> httpx.Response:
        began = time.perf_counter()
        found = ask(*arguments, **more)
        times.append(time.perf_counter() - began)
        return found

    with httpx.Client(base_url=address, timeout=60) as client:
        try:
            where = re.search(rf'href="(/p/{token}/\d+)"', timed(client.get, f"/p/{token}").text)
            path = where[1] if where else ""
            while path:
                page = timed(client.get, path)
                assert page.status_code == 200, page.text
                form = Form(page.text)
                for picture in form.pictures if media else ():
                    assert timed(client.get, picture).status_code == 200
                place = int(path.rpartition("/")[2])
                chosen = str((hash(token) + place) % 5)
                found = timed(client.post, path, data=form.fields | dict.fromkeys(form.names, chosen))
                assert found.status_code == 303, found.text
                acknowledged.append((token, place, chosen))
                path = found.headers["location"] if found.headers["location"] != f"/p/{token}" else ""
        except httpx.TransportError:
            return


@pytest.mark.slow("a server killed five times")
def test_no_acknowledged_vote_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=20, people=12) as study:
        folder, tokens = study.folder, [one.token for one in study.answers.everybody()]
    acknowledged: list[tuple[str, int, str]] = []
    port, kills = free_port(), 0
    for after in (25, 50, 90, 130, 170):
        with command(folder, port) as process:
            threads = [
                threading.Thread(target=go_through, args=(f"http://127.0.0.1:{port}", token, acknowledged, [], False))
                for token in tokens
            ]
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
            go_through(f"http://127.0.0.1:{port}", token, acknowledged, [], False)
    with Study.open(folder) as study:
        assert all(one.answered == 20 for one in study.answers.everybody())


@pytest.mark.slow("fifty participants on a server of its own")
def test_fifty_participants_at_once_meet_no_error(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=3, people=50) as study:
        folder, tokens = study.folder, [one.token for one in study.answers.everybody()]
    acknowledged: list[tuple[str, int, str]] = []
    port, times = free_port(), [list[float]() for _ in tokens]
    with command(folder, port), ThreadPoolExecutor(50) as pool:
        arguments = (
            (f"http://127.0.0.1:{port}", token, acknowledged, own, True) for token, own in zip(tokens, times, strict=True)
        )
        for done in [pool.submit(go_through, *each) for each in arguments]:
            done.result()
    assert len(acknowledged) == 150
    every = np.concatenate(times)
    assert len(every) == 50 * (1 + 3 * 7)
    print(f"{len(every)} requests: median {1000 * np.median(every):.0f} ms, p95 {1000 * np.quantile(every, 0.95):.0f} ms")
    with Study.open(folder) as study:
        assert all(one.answered == 3 for one in study.answers.everybody())
