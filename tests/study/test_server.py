"""What a participant sees and saves, and what nobody else does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies_made import METHODS, Form, answer, method_in, study_of

from s2g.study.folder import Study
from s2g.study.limits import Buckets, Limits
from s2g.study.protection import HEADERS
from s2g.study.specification import default_text

pytest.importorskip("fastapi", reason='the extra is not installed: pip install ".[study]"')
from starlette.testclient import TestClient

from s2g.study.server import app_of

ORIGIN = "http://testserver"


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with study_of(tmp_path) as made:
        yield made


def client_of(study: Study, **limits: Buckets) -> TestClient:
    return TestClient(app_of(study, limits=Limits(**limits)), base_url=ORIGIN)


def link(study: Study, number: int = 1) -> str:
    return f"/p/{study.answers.everybody()[number - 1].token}"


def filled(html: str, *places: int) -> dict[str, list[str]]:
    """The form of a page with the same places chosen for every criterion."""
    form = Form(html)
    return form.fields | {name: [str(at) for at in places] for name in form.names}


def test_a_participant_goes_through_all_pages_and_every_vote_is_the_shot_that_was_shown(study: Study) -> None:
    client, address = client_of(study), link(study)
    begin = client.get(address)
    assert "Which pictures are best?" in begin.text and "3 pages" in begin.text and "Image-text alignment" in begin.text

    def choose(prompt: str, criterion: str, pictures: list[str]) -> list[int]:
        made = [method_in(client.get(source).content, study.material.methods) for source in pictures]
        assert sorted(made) == sorted(METHODS)
        return [made.index("s2")] if criterion == "detail" else [made.index("cfg"), made.index("apg")]

    assert answer(client, address, choose) == 3
    assert "All your answers are saved" in client.get(address).text
    answers = study.answers.everything()
    assert len(answers) == 3 and {one.participant for one in answers} == {1}
    for one in answers:
        methods = {
            name: sorted(METHODS[study.material.method_of[shot]] for shot in shots) for name, shots in one.choices.items()
        }
        assert methods == {"detail": ["s2"], "color": ["apg", "cfg"], "alignment": ["apg", "cfg"]}
        assert 0 <= one.seconds < 60 and one.changes == 0


def test_the_pictures_of_a_page_are_those_of_its_prompt_in_the_stored_order(study: Study) -> None:
    client, address = client_of(study), link(study, 2)
    page = study.answers.page(2, 1)
    form = Form(client.get(f"{address}/1").text)
    assert page is not None and form.pictures == [f"{address}/m/{shot}.png" for shot in page.shots]


def test_a_personal_link_resumes_where_its_owner_stopped(study: Study) -> None:
    client, address = client_of(study), link(study)
    assert answer(client, address, lambda *_: [0], pages=2) == 2
    again = TestClient(app_of(study), base_url=ORIGIN)  # another browser, another server
    assert "You have answered 2 of them" in again.get(address).text and f'href="{address}/3"' in again.get(address).text
    assert answer(again, address, lambda *_: [1]) == 1
    assert len(study.answers.everything()) == 3


def test_pages_cannot_be_skipped_and_can_be_changed(study: Study) -> None:
    client, address = client_of(study), link(study)
    assert client.get(f"{address}/2", follow_redirects=False).headers["location"] == f"{address}/1"
    stamp = study.stamp(link(study)[3:], 2)
    early = filled(client.get(f"{address}/1").text, 0) | {"stamp": [stamp]}
    assert client.post(f"{address}/2", data=early).status_code == 403
    assert answer(client, address, lambda *_: [0]) == 3
    page = client.get(f"{address}/1").text
    assert Form(page).fields["detail"] == ["0"]  # as it was answered
    found = client.post(f"{address}/1", data=filled(page, 4), follow_redirects=False)
    assert found.headers["location"] == f"{address}/2"
    (first,) = [one for one in study.answers.everything() if one.place == 1]
    asked = study.answers.page(1, 1)
    assert asked is not None and first.changes == 1 and first.choices["detail"] == [asked.shots[4]]
    for beyond in (0, 4, 10**6 - 1, "9" * 5000, "x", "%00"):
        assert client.get(f"{address}/{beyond}", follow_redirects=False).status_code in (303, 404)
        assert client.post(f"{address}/{beyond}", data=filled(page, 1)).status_code in (403, 404)


def test_every_criterion_needs_an_answer(study: Study) -> None:
    client, address = client_of(study), link(study)
    page = client.get(f"{address}/1").text
    whole = filled(page, 1, 3)
    for wrong in ({"color": []}, {"color": ["5"]}, {"color": ["-1"]}, {"color": ["x"]}, {"color": ["0", "9" * 99]}):
        found = client.post(f"{address}/1", data=whole | wrong)
        assert found.status_code == 422 and "Please answer: Color consistency" in found.text
        assert Form(found.text).fields["detail"] == ["1", "3"]  # what was chosen stays
    assert study.answers.everything() == []


def test_one_choice_means_one(tmp_path: Path) -> None:
    with study_of(tmp_path, text=default_text().replace("choice: several ", "choice: one ")) as study:
        client, address = client_of(study), link(study)
        page = client.get(f"{address}/1").text
        assert 'type="radio"' in page and 'type="checkbox"' not in page
        assert client.post(f"{address}/1", data=filled(page, 1, 3)).status_code == 422
        assert client.post(f"{address}/1", data=filled(page, 3), follow_redirects=False).status_code == 303


def test_a_page_must_be_looked_at_for_the_least_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with study_of(tmp_path, text=default_text().replace("least_seconds: 0", "least_seconds: 8")) as study:
        now = [1e9]
        monkeypatch.setattr("s2g.study.folder.time.time", lambda: now[0])
        client, address = client_of(study), link(study)
        page = client.get(f"{address}/1").text
        assert "each at least 8 seconds" in client.get(address).text and 'data-left="8.0"' in page
        now[0] += 7
        found = client.post(f"{address}/1", data=filled(page, 1))
        assert found.status_code == 422 and "at least 8 seconds" in found.text and 'data-left="1.0"' in found.text
        now[0] += 2  # counted from when the page was first shown, not from the refusal
        assert client.post(f"{address}/1", data=filled(found.text, 1), follow_redirects=False).status_code == 303
        assert study.answers.everything()[0].seconds == 9


# Security.


def test_no_page_address_or_file_names_a_method(study: Study) -> None:
    client, address = client_of(study), link(study)
    pages = [client.get(address).text]
    for place in (1, 2, 3):
        pages.append(client.get(f"{address}/{place}").text)
        client.post(f"{address}/{place}", data=filled(pages[-1], 0))
    pages += [client.get(address).text, client.get("/nothing").text, client.get("/page.js").text, client.get("/page.css").text]
    names = "|".join([*METHODS, *(run for method in study.material.methods for run in (method.run, method.label)), "tiny_sd3"])
    assert not [found for text in pages for found in re.findall(rf"(?<![\w-])(?:{names})(?![\w-])", text, re.I)]
    media = [source for text in pages for source in Form(text).pictures]
    assert len(media) == 15
    for source in media:
        found = client.get(source)
        assert found.status_code == 200 and found.headers["content-type"] == "image/png"
        # Neither the file's time nor a name for saving says which was made first.
        assert not {"last-modified", "content-disposition"} & set(found.headers)


def test_every_response_carries_the_headers(study: Study) -> None:
    client, address = client_of(study, stranger=Buckets(0, 2)), link(study)
    page = client.get(f"{address}/1")
    responses = [
        page,
        client.get(address),
        client.get("/page.js"),
        client.get("/page.css"),
        client.get(Form(page.text).pictures[0]),
    ]
    responses += [client.post(f"{address}/1", data={}), client.get(f"/admin/{study.admin}"), client.get("/robots.txt")]
    responses += [client.get("/p/wrong"), client.get("/"), client.get("/p/wrong"), client.put(address)]
    assert [one.status_code for one in responses] == [200, 200, 200, 200, 200, 403, 200, 200, 404, 404, 429, 405]
    for one in responses:
        assert {name: one.headers.get(name) for name in HEADERS} == HEADERS
        assert (
            "server" not in one.headers and "set-cookie" not in one.headers and "access-control-allow-origin" not in one.headers
        )
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert page.headers["cache-control"] == "no-store"
    # The policy would forbid them, and nothing points elsewhere.
    assert not re.search(r"<script>|<style|style=|\son\w+=|https?:|//", page.text.replace("<!doctype html>", ""))


def test_nothing_but_the_study_s_files_is_served(study: Study) -> None:
    client, address = client_of(study, stranger=Buckets(1000, 1000)), link(study)
    (study.folder / "media" / "stray.png").write_bytes(b"x")
    names = [
        "stray.png",
        "../material.json",
        "..%2fmaterial.json",
        "%2e%2e/secrets.json",
        "..%5csecrets.json",
        ".",
        "",
        "%00.png",
    ]
    names += ["/etc/passwd", "....//answers.sqlite", "material.json", next(iter(study.material.sha256)).upper()]
    for name in names:
        found = client.get(f"{address}/m/{name}")
        assert found.status_code in (403, 404), name
    for path in ("material.json", "answers.sqlite", "secrets.json", "study.yaml", "media", "docs", "openapi.json", "redoc"):
        assert client.get(f"/{path}").status_code == 404
    shot = next(iter(study.material.sha256))
    assert client.get(f"/p/wrong/m/{shot}").status_code == 404  # nor without a link


def test_a_link_cannot_be_guessed_and_guesses_are_few(study: Study) -> None:
    now = [0.0]
    client, right = client_of(study, stranger=Buckets(0.5, 30, lambda: now[0])), link(study)
    guesses = [right[:-1], f"{right}x", right.swapcase(), "/p/1", "/p/%25", "/p/' OR 1=1 --", "/admin/1", "/admin/"]
    for guess in guesses:
        found = client.get(guess)
        assert found.status_code == 404
        assert "personal link that you were given" in found.text and study.spec.title not in found.text
    codes = [client.get(f"/p/{number}").status_code for number in range(40)]
    assert codes == [404] * (30 - len(guesses)) + [429] * (10 + len(guesses))
    assert client.get("/p/x").headers["retry-after"] == "10"
    assert client.get(right).status_code == 200  # who has a link is not locked out by others at the same address
    now[0] += 4
    assert [client.get("/admin/x").status_code for _ in range(3)] == [404, 404, 429]


def test_a_participant_s_requests_are_limited_and_nobody_else_s_with_them(study: Study) -> None:
    client = client_of(study, participant=Buckets(0, 3))
    assert [client.get(link(study)).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get(link(study, 2)).status_code == 200


def test_no_participant_sees_another_s_answers(study: Study) -> None:
    client, mine, theirs = client_of(study), link(study), link(study, 2)
    before = {place: client.get(f"{theirs}/{place}").text for place in (0, 1)}
    assert answer(client, mine, lambda *_: [2]) == 3
    for place, text in before.items():
        assert unstamped(client.get(f"{theirs}/{place}").text) == unstamped(text)
    assert mine[3:] not in client.get(theirs).text
    # One's own stamp on another's page is worth nothing.
    form = filled(client.get(f"{mine}/1").text, 0)
    assert client.post(f"{theirs}/1", data=form).status_code == 403
    assert client.get(f"{theirs}/m/{next(iter(study.material.sha256))}").status_code == 200
    assert {one.participant for one in study.answers.everything()} == {1}


def unstamped(html: str) -> str:
    return re.sub(r'name="stamp" value="[^"]*"', "", html)


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),
        ({"origin": ORIGIN, "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://elsewhere.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "application/json"}, False),
    ],
)
def test_other_sites_cannot_vote(study: Study, headers: dict[str, str], accepted: bool) -> None:
    client, address = client_of(study), link(study)
    form = filled(client.get(f"{address}/1").text, 0)
    found = client.post(f"{address}/1", data=form, headers=headers, follow_redirects=False)
    assert found.status_code == (303 if accepted else 403) and len(study.answers.everything()) == accepted
    admin = f"/admin/{study.admin}"
    form = Form(client.get(admin).text).fields | {"count": ["2"]}
    assert client.post(admin, data=form, headers=headers, follow_redirects=False).status_code == (303 if accepted else 403)
    assert len(study.answers.everybody()) == (5 if accepted else 3)


def changed(stamp: str) -> list[str]:
    made, _, signature = stamp.partition(".")
    return [
        "",
        "x",
        signature,
        f"{int(made) - 60_000}.{signature}",
        f"{made}.{signature[::-1]}",
        f"{made}.",
        f"{'1' * 30}.{signature}",
    ]


def test_a_form_that_was_not_shown_is_not_taken(study: Study) -> None:
    client, address = client_of(study), link(study)
    form = filled(client.get(f"{address}/1").text, 0)
    for stamp in changed(form["stamp"][0]):
        found = client.post(f"{address}/1", data=form | {"stamp": [stamp]})
        assert found.status_code == 403 and "load it again" in found.text
    assert client.post(f"{address}/1", content=b"stamp=" + b"x" * 70_000, headers=FORM).status_code == 403
    assert client.post(f"{address}/1", content=b"&".join([b"a=1"] * 300), headers=FORM).status_code == 403
    assert client.post(f"{address}/1", content=b"\xff=\xfe", headers=FORM).status_code == 403
    assert study.answers.everything() == []


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_the_page_of_links_is_behind_its_token_and_shows_no_votes(study: Study) -> None:
    client = client_of(study)
    assert answer(client, link(study), lambda *_: [1], pages=2) == 2
    page = client.get(f"/admin/{study.admin}").text
    everybody = study.answers.everybody()
    assert all(f"{ORIGIN}/p/{one.token}" in page for one in everybody) and "2 of 3" in page and "0 of 3" in page
    assert not any(shot in page for shot in study.material.method_of)
    assert not re.search(r"(?<![\w-])(?:cfg|apg|s2)(?![\w-])", page)
    for token in (everybody[0].token, "", "x", study.admin[:-1]):
        assert client.get(f"/admin/{token}").status_code == 404
    for count in ("0", "-1", "998", "99999999999", "", "x", "²"):
        form = Form(client.get(f"/admin/{study.admin}").text).fields | {"count": [count]}
        found = client.post(f"/admin/{study.admin}", data=form)
        assert found.status_code == 422 and "1,000 in all" in found.text
    assert len(study.answers.everybody()) == 3
    public = TestClient(app_of(study, "https://study.example.org/"), base_url=ORIGIN).get(f"/admin/{study.admin}").text
    assert f"https://study.example.org/p/{everybody[0].token}" in public


NASTY = """</h1><script>alert(1)</script>"'&{{ 7*7 }}"""


def test_texts_are_shown_as_text(tmp_path: Path) -> None:
    text = default_text().replace("Which pictures are best?", f"'{NASTY.replace(chr(39), chr(39) * 2)}'")
    with study_of(tmp_path, text=text) as study:
        page = client_of(study).get(link(study)).text
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page and "{{ 7*7 }}" in page


def test_videos_play_in_parts(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=1, video=True) as study:
        client, address = client_of(study), link(study)
        page = client.get(f"{address}/1").text
        videos = re.findall(r'data-video="([^"]+)"', page)
        assert len(videos) == 5 and "These videos were" in page
        whole = client.get(videos[0])
        part = client.get(videos[0], headers={"range": "bytes=10-19"})
        assert whole.headers["content-type"] == "video/mp4" and part.status_code == 206 and part.content == whole.content[10:20]


@pytest.fixture
def bucket() -> tuple[Buckets, list[float]]:
    now = [0.0]
    return Buckets(2.0, 3, lambda: now[0]), now


def test_a_bucket_holds_its_burst_and_fills_at_its_rate(bucket: tuple[Buckets, list[float]]) -> None:
    buckets, now = bucket
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b")
    now[0] = 0.6  # 1.2 requests
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    now[0] = 1000.0
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    for who in range(10_001):
        buckets.take(who)
    assert len(buckets._left) == 10_000
