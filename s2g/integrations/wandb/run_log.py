"""logger=wandb: log a run's configuration, scores, costs, images and videos to Weights & Biases, online or on disk."""

from __future__ import annotations

import io
import netrc
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from s2g.config.coerce import only
from s2g.config.schema import read
from s2g.errors import UserError, unknown
from s2g.scoring.score import Score
from s2g.store.env_file import environments
from s2g.store.store import Store

MODES = ("online", "offline", "disabled")
COLUMNS = ("metric", "label", "value", "low", "high", "units", "method")
HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # public servers; the default depends on the version
NOT_IN_PROJECT, LONGEST_PROJECT = "/\\#?%:", 128  # wandb's own rule (wandb_settings.py), checked before sampling
NUM_IMAGES = 12  # in the sample grid
NUM_VIDEOS = 4  # videos are large
# Log nothing about the checkout, console or machine beyond `configuration`, and print nothing.
QUIET: dict[str, Any] = {
    "silent": True,
    "host": "",
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_save_requirements": False,
}


@dataclass(frozen=True)
class WandbConfig:
    """Where runs are logged to."""

    name: str = "wandb"
    project: str = "s2g"
    entity: str | None = None
    mode: str | None = None  # None: WANDB_MODE, else online with a key, else offline
    dir: str = "outputs"

    def __post_init__(self) -> None:
        refused = [letter for letter in NOT_IN_PROJECT if letter in self.project]
        if refused or not 1 <= len(self.project) <= LONGEST_PROJECT:
            what = f"{refused[0]!r} in it" if refused else "its length"
            raise UserError(
                f"logger.project = {self.project}: wandb does not accept {what}",
                allowed=f"a name of 1 to {LONGEST_PROJECT} characters without {' '.join(NOT_IN_PROJECT)}",
                todo="logger.entity=TEAM logger.project=NAME for a project of a team",
            )
        for key, mode in (("logger.mode", self.mode), ("WANDB_MODE", None if self.mode else os.environ.get("WANDB_MODE"))):
            if mode is not None and mode not in MODES:
                raise UserError(f"{key} = {mode}", allowed=", ".join(MODES))
        if self.chosen == "online" and not has_key():
            key = "logger.mode" if self.mode else "WANDB_MODE"
            raise UserError(f"{key} = online: there is no API key", todo="export WANDB_API_KEY=..., or logger.mode=offline")

    @property
    def chosen(self) -> str:
        """Return the effective mode."""
        return self.mode or os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")


def read_logger(values: Mapping[str, Any]) -> WandbConfig | None:
    """Return the typed `logger` group; None for logger=none."""
    if values["name"] == "none":
        return only({"name"}, values, "logger")
    if values["name"] != "wandb":
        raise unknown("logger", values["name"], ["none", "wandb"])
    return read(WandbConfig, values, "logger")


def has_key() -> bool:
    """Return whether wandb finds a key without prompting: in the environment or in ~/.netrc."""
    return any(os.environ.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")) or netrc_key() is not None


def netrc_key() -> str | None:
    """Return the key that `wandb login` wrote to the netrc file for the server in use; None if there is none."""
    server = os.environ.get("WANDB_BASE_URL")
    try:
        keys = netrc.netrc(os.environ.get("NETRC") or Path.home() / ".netrc").hosts
    except (OSError, netrc.NetrcParseError):
        return None
    hosts = (urlsplit(server).netloc,) if server else HOSTS
    return next((keys[host][2] for host in hosts if host in keys), None) or None


def log_run(config: WandbConfig, result: Score, store: Store) -> str:
    """Log a scored run under its key and return where; logging it again updates the same run.

    Raise UserError if the folder cannot be written or the server refuses; the scores are already stored and stay.
    """
    run = result.run

    def fill(logged: Any) -> None:
        import wandb

        logged.config.update(configuration(result, store), allow_val_change=True)  # num grows when a run is extended
        tables = {"scores": wandb.Table(list(COLUMNS), scores(result)), "samples": _samples(result, store)}
        logged.log({**values(result), **tables, **({"videos": _videos(result, store)} if run.model.frames else {})})

    return log(config, run.key, run.model.name, run.name, fill)


def log(config: WandbConfig, name: str, group: str, tag: str, fill: Callable[[Any], None]) -> str:
    """Log what `fill` adds to the W&B run of this name; return where it is logged."""
    mode = config.chosen
    if mode == "disabled":
        return "logger=wandb: disabled, nothing is logged"
    try:
        Path(config.dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"logger.dir = {config.dir}: cannot be written ({error.strerror})", todo="logger.dir=FOLDER") from error
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read at import: no crash reports either
    import wandb
    from wandb.errors import Error

    # wandb does not prompt for a key it is given.
    key = os.environ.get("WANDB_API_KEY") or netrc_key()
    settings = wandb.Settings.model_validate(QUIET | ({"api_key": key} if mode == "online" and key else {}))
    wandb.setup(wandb.Settings.model_validate(QUIET))  # else it prints about the key before `init` reads the settings
    resume: Any = "allow" if mode == "online" else None
    try:
        logged = wandb.init(
            project=config.project,
            entity=config.entity,
            dir=config.dir,
            id=name,
            name=name,
            group=group,
            tags=[tag],
            mode=mode,  # type: ignore[arg-type]
            resume=resume,
            settings=settings,
        )
        fill(logged)
        where = logged.url if mode == "online" else Path(logged.dir).parent
        logged.finish()
    except Error as error:
        raise UserError(
            f"logger=wandb: {str(error).splitlines()[0]}",
            todo="check WANDB_API_KEY and logger.entity, or use logger.mode=offline; the scores are stored",
        ) from error
    if not isinstance(where, Path):
        return f"logged to {where}"
    cwd = Path.cwd()
    return f"logged offline; to upload: wandb sync {where.relative_to(cwd) if where.is_relative_to(cwd) else where}"


def configuration(result: Score, store: Store) -> dict[str, Any]:
    """Return what determines the samples, how many were scored and how, and the machines that sampled them."""
    used = environments(store).values()
    made_on = {
        "machine": sorted({env["machine"] for env in used}),
        "torch": sorted({env["packages"]["torch"] for env in used}),
    }
    run = result.run
    return {
        **run.identity(),
        "num": run.num,
        "method": run.name,
        "bench": run.bench.version(),
        "remarks": list(result.remarks),
        "made_on": made_on,
    }


def values(result: Score) -> dict[str, float | int]:
    """Return flat numbers: NAME, NAME/low, NAME/high per metric, n, units, and cost/... per item."""
    flat: dict[str, float | int] = {"n": result.run.num, "units": len(result.run.units)}
    for name, estimate in result.estimates.items():
        ends = {name: estimate.value, f"{name}/low": estimate.low, f"{name}/high": estimate.high}
        flat |= {end: value for end, value in ends.items() if value is not None}
    if result.effective.scale is not None:
        flat["effective_scale"] = result.effective.value
    return flat | {f"cost/{name}": value for name, value in asdict(result.cost).items() if value is not None}


def scores(result: Score) -> list[Any]:
    """Return a row per metric, under COLUMNS; `method` is that of the interval."""
    rows = []
    for metric in result.run.bench.metrics:
        estimate = result.estimates[metric.name]
        interval = [estimate.value, estimate.low, estimate.high, estimate.units, estimate.method]
        rows.append([metric.name, metric.label, *interval])
    return rows


def _samples(result: Score, store: Store) -> Any:
    """Return a grid of the first images with captions, or of the first videos as strips of frames."""
    import wandb

    from s2g.report.grids import Block, image_grid, strip_grid  # matplotlib, which reading the configuration does not need

    run = result.run
    chosen = range(min(NUM_VIDEOS if run.model.frames else NUM_IMAGES, run.num))
    stream = io.BytesIO()
    if run.model.frames:
        blocks = [Block(run.bench.caption(item), list(store.items([item])), [False]) for item in chosen]
        figure = strip_grid([run.name], blocks)
    else:
        figure = image_grid([(run.name, store.items(chosen))], [run.bench.caption(item) for item in chosen])
    figure.savefig(stream, dpi=150)
    return wandb.Image(Image.open(stream), caption=f"{run.model.name}, {run.name}: the first {len(chosen)} of {run.num} items")


def _videos(result: Score, store: Store) -> list[Any]:
    """Return the first videos, encoded as for pages, with captions."""
    import wandb

    from s2g.report.media import page_video

    run, videos = result.run, []
    for item in range(min(NUM_VIDEOS, run.num)):
        content = io.BytesIO(page_video(store.items([item])[0], run.model.video_fps))
        videos.append(wandb.Video(content, caption=run.bench.caption(item), format="mp4"))
    return videos
