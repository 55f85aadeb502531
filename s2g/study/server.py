"""The study as a web application: what a personal link shows and saves, and the page with all links.

Reading takes less than handing over to a thread would; what waits for the disk (a vote) is handed over.
A link is all there is: no cookie, no session, no account. Whoever has none is told nothing, at a limited rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from s2g.errors import UserError
from s2g.study.answers import Page
from s2g.study.folder import Study
from s2g.study.limits import Limits
from s2g.study.material import MEDIA
from s2g.study.pages import page, script, style
from s2g.study.protection import Headers, form_of, own_origin
from s2g.study.specification import StudySpec

KEPT = "private, max-age=86400, immutable"  # of pictures: their names are used once
SLACK = 0.5  # seconds of the least time that a browser's clock may be off
NO_ROUTE = "Not Found"  # what the framework says of an address that leads nowhere
STALE = "This page is out of date. Please load it again; your earlier answers are saved."


def app_of(study: Study, address: str = "", limits: Limits | None = None) -> FastAPI:
    """Return the application. address: where participants reach it, for the links shown; "": as the request says."""
    allowed = limits or Limits()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Headers)

    def stranger(request: Request) -> HTTPException:
        """Return the answer to a request without a valid link."""
        host = request.client.host if request.client else ""
        return HTTPException(404 if allowed.stranger.take(host) else 429, "no link")

    async def somebody(token: str, request: Request) -> int:
        """Return the number of the participant whose link it is."""
        number = study.answers.number_of(token)
        if number is None:
            raise stranger(request)
        if not allowed.participant.take(number):
            raise HTTPException(429)
        return number

    async def administrator(token: str, request: Request) -> None:
        if not study.is_admin(token):
            raise stranger(request)

    async def numbered(place: str) -> int:
        """Return the number of a page in an address."""
        if not (place.isascii() and place.isdigit() and len(place) < 7):
            raise HTTPException(404, "no page")
        return int(place)

    @app.get("/p/{token}")
    async def begin(token: str, number: int = Depends(somebody)) -> HTMLResponse:
        answered, total, following = study.answers.progress(number)
        if following > total:
            return HTMLResponse(page("done.html.j2", study=study, token=token, total=total))
        return HTMLResponse(page("begin.html.j2", study=study, token=token, answered=answered, total=total, next=following))

    @app.get("/p/{token}/{place}")
    async def trial(token: str, place: int = Depends(numbered), number: int = Depends(somebody)) -> Response:
        _, total, following = study.answers.progress(number)
        if not 1 <= place <= min(following, total):
            return RedirectResponse(_after(token, following, total), 303)
        return _trial(study, number, token, place)

    @app.post("/p/{token}/{place}")
    async def vote(request: Request, token: str, place: int = Depends(numbered), number: int = Depends(somebody)) -> Response:
        form = await form_of(request) if own_origin(request.headers) else None
        if form is None:
            raise HTTPException(403, STALE)
        return await run_in_threadpool(_vote, study, number, token, place, form)

    @app.get("/p/{token}/m/{name}")
    async def medium(name: str, number: int = Depends(somebody)) -> Response:
        if name not in study.material.sha256:  # a name of the list, so no path can lead elsewhere
            raise HTTPException(404, "no picture")
        path, headers = study.folder / MEDIA / name, {"cache-control": KEPT}
        if name.endswith(".mp4"):  # browsers ask for parts of these
            return FileResponse(path, media_type="video/mp4", headers=headers)
        return Response(path.read_bytes(), media_type="image/png", headers=headers)

    @app.get("/admin/{token}", dependencies=[Depends(administrator)])
    async def links(token: str, request: Request) -> HTMLResponse:
        return _links(study, token, address or str(request.base_url))

    @app.post("/admin/{token}", dependencies=[Depends(administrator)])
    async def more_links(token: str, request: Request) -> Response:
        form = await form_of(request) if own_origin(request.headers) else None
        if form is None or study.shown(_one(form, "stamp"), "admin") is None:
            raise HTTPException(403, STALE)
        count = _one(form, "count")
        try:
            study.invite(int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0)
        except UserError as error:
            return _links(study, token, address or str(request.base_url), 422, str(error))
        return RedirectResponse(f"/admin/{token}", 303)

    @app.get("/page.css")
    async def css() -> Response:
        return Response(style(), media_type="text/css", headers={"cache-control": "max-age=300"})

    @app.get("/page.js")
    async def javascript() -> Response:
        return Response(script(), media_type="text/javascript", headers={"cache-control": "max-age=300"})

    @app.get("/robots.txt")
    async def robots() -> PlainTextResponse:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: Any) -> HTMLResponse:
        if error.detail == NO_ROUTE:
            error = stranger(request)
        heading, words = MESSAGES.get(error.status_code, ("Not possible", "This request cannot be answered."))
        words = error.detail if error.status_code == 403 else words
        headers = {"retry-after": "10"} if error.status_code == 429 else None
        return HTMLResponse(page("message.html.j2", heading=heading, words=words), error.status_code, headers)

    return app


MESSAGES: Mapping[int, tuple[str, str]] = {
    403: ("Not saved", STALE),
    404: ("Nothing here", "Please open the personal link that you were given, in full."),
    429: ("Too many requests", "Please wait a little and load the page again. Saved answers stay saved."),
}


def _trial(
    study: Study, number: int, token: str, place: int, chosen: Mapping[str, Sequence[int]] | None = None,
    stamp: str = "", problem: str = "",
) -> HTMLResponse:  # fmt: skip
    """Return a page with its pictures and questions; `chosen`, `stamp` and `problem` of an answer that was not accepted."""
    asked = study.answers.page(number, place)
    assert asked is not None
    answered, total, _ = study.answers.progress(number)
    stamp = stamp or study.stamp(token, place)
    if chosen is None:
        chosen = {name: [asked.shots.index(shot) for shot in shots] for name, shots in (asked.choices or {}).items()}
    waited = study.shown(stamp, token, place) or 0.0
    left = 0.0 if asked.choices else max(0.0, study.spec.least_seconds - waited)
    html = page(
        "trial.html.j2", study=study, token=token, place=place, total=total, answered=answered, shots=asked.shots,
        prompt=study.material.trials[asked.trial].prompt, chosen=chosen, stamp=stamp, problem=problem, left=left,
    )  # fmt: skip
    return HTMLResponse(html, 422 if problem else 200)


def _vote(study: Study, number: int, token: str, place: int, form: Mapping[str, list[str]]) -> Response:
    """Save an answer and lead to the next page; the redirect is sent after the answer is on disk."""
    asked = study.answers.page(number, place)
    _, total, following = study.answers.progress(number)
    seconds = study.shown(_one(form, "stamp"), token, place)
    if asked is None or place > following or seconds is None:
        raise HTTPException(403, STALE)
    chosen, problem = read_choices(study.spec, asked, form)
    if not problem and asked.choices is None and seconds + SLACK < study.spec.least_seconds:
        problem = f"Please look at the pictures for at least {study.spec.least_seconds:g} seconds."
    if problem:
        return _trial(study, number, token, place, chosen, _one(form, "stamp"), problem)
    shots = {name: [asked.shots[at] for at in places] for name, places in chosen.items()}
    study.answers.vote(number, place, shots, round(seconds, 2))
    return RedirectResponse(_after(token, study.answers.progress(number)[2] if place == following else place + 1, total), 303)


def read_choices(spec: StudySpec, asked: Page, form: Mapping[str, list[str]]) -> tuple[dict[str, list[int]], str]:
    """Return the places of the shots chosen by criterion, and what is wrong with them ("" if nothing is)."""
    valid, chosen, problem = {str(at): at for at in range(len(asked.shots))}, {}, ""
    for criterion in spec.criteria:
        typed = form.get(criterion.name, [])
        chosen[criterion.name] = sorted({valid[text] for text in typed if text in valid})
        count = len(chosen[criterion.name])
        if any(text not in valid for text in typed) or count < 1 or (count > 1 and not spec.several):
            problem = problem or f"Please answer: {criterion.label}"
    return chosen, problem


def _links(study: Study, token: str, address: str, status: int = 200, problem: str = "") -> HTMLResponse:
    html = page(
        "admin.html.j2", study=study, token=token, everybody=study.answers.everybody(), address=address.rstrip("/"),
        stamp=study.stamp("admin"), problem=problem,
    )  # fmt: skip
    return HTMLResponse(html, status)


def _after(token: str, following: int, total: int) -> str:
    return f"/p/{token}/{following}" if following <= total else f"/p/{token}"


def _one(form: Mapping[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]
