"""What a worker does: keep the model in memory, and make one unit after another."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from s2g.config.registry import MODELS
from s2g.config.schema import ModelConfig, canonical, read
from s2g.engine.cost import PassCost, measure
from s2g.engine.environment import THREADS
from s2g.engine.memory import begin_peak, in_parts, peak
from s2g.engine.run import Run
from s2g.errors import IsolatedError, NotFiniteError, UserError
from s2g.guidance.effective_scale import EffectiveScale
from s2g.models.base import Denoiser
from s2g.models.meta_models import MetaModel
from s2g.network.evaluate import Account, Evaluator
from s2g.sampling.loop import Sampled, sample
from s2g.store.items import STILL, Film
from s2g.store.retention import FeatureBench, kept_of
from s2g.store.store import Store

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Job(Protocol):
    """What a worker is given: plain data that knows what is to be done."""

    def do(self, device: str) -> float:
        """Do it; the seconds it took."""
        ...


@dataclass(frozen=True)
class Task:
    """One unit of one run."""

    run: Run
    unit: int
    store: Store
    scratch: Path
    reuse: bool
    environment: str
    keep: Mapping[str, str] | None = None  # sha256 of stored items of the unit that are whole, where it is made anew

    def do(self, device: str) -> float:
        """Make and store the unit; the seconds it took."""
        return do(self, device)


@dataclass(frozen=True)
class Outcome:
    """What became of a task: how long it took, or what went wrong."""

    seconds: float = 0.0
    error: str = ""  # one line
    trace: str = ""
    again: bool = True  # whether another attempt may go better
    not_finite: str = ""  # "guided" where guidance may be the reason for NaN or infinity, else "network"
    fatal: BaseException | None = None  # nothing to do with this unit: no other will go better


def prepare(device: str) -> None:
    """One thread a worker, however many workers there are: the bytes of a sum depend on how it is split."""
    torch.set_num_threads(THREADS)
    if device != "cpu":
        torch.cuda.set_device(device)  # the clock's events and memory's peak are asked of the current one
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def serve(connection: Connection, device: str) -> None:
    """A worker process: tasks in, outcomes out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(device)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        except (ImportError, AttributeError) as error:
            mistake = UserError(
                f"a worker process cannot import what the run is made of: {error}",
                todo="put the module on PYTHONPATH, or executor.workers=1",
            )
            connection.send(Outcome(error=str(mistake), fatal=mistake))
            continue
        connection.send(attempt(task, device))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)  # whoever starts the run again must find neither its memory nor its units taken


def attempt(task: Job, device: str) -> Outcome:
    """Do what is asked; whatever goes wrong is told, so that the other tasks go on."""
    try:
        return Outcome(seconds=task.do(device))
    except (UserError, IsolatedError, OSError) as error:
        return Outcome(error=str(error), fatal=error)
    except NotFiniteError as error:
        why = "guided" if error.guided else "network"  # not tried again: it would give the same numbers
        return Outcome(error=str(error), trace=traceback.format_exc(), again=False, not_finite=why)
    except Exception as error:  # the one place for it: a unit that fails is set aside with its traceback
        return Outcome(error=f"{type(error).__name__}: {error}".splitlines()[0], trace=traceback.format_exc())


def load(config: ModelConfig, device: str) -> tuple[Denoiser, PassCost]:
    """A model and its FLOPs; those used last are kept."""
    return _load(type(config), canonical(asdict(config)), device)


def precompute_text(run: Run, device: str) -> None:
    """What a model wants to do with all prompts of a run before its network is loaded; once a run and process."""
    prompts = run.bench.prompts(range(len(run.units) * run.model.unit))
    for config in (run.model, run.weak):
        if config is not None and config.piped:
            _precompute_text(type(config), canonical(asdict(config)), tuple(prompts), device)


def forget() -> None:
    """Free the networks of what was sampled last."""
    if _load.cache_info().currsize:
        _load.cache_clear()
        torch.cuda.empty_cache()


@lru_cache(maxsize=3)
def _precompute_text(kind: type[ModelConfig], config_json: str, prompts: tuple[Any, ...], device: str) -> None:
    config = read(kind, json.loads(config_json), "model")
    MODELS.load(config.family).precompute_text(config, prompts, torch.device(device), DTYPES[config.dtype])


@lru_cache(maxsize=3)
def _load(kind: type[ModelConfig], config_json: str, device: str) -> tuple[Denoiser, PassCost]:
    config = read(kind, json.loads(config_json), "model")
    adapter = MODELS.load(config.family)
    denoiser: Denoiser = adapter.load(config, torch.device(device), DTYPES[config.dtype])
    if config.blocks and len(denoiser.blocks) != config.blocks:
        raise UserError(
            f"model.blocks = {config.blocks}: {config.name} has {len(denoiser.blocks)}", todo="correct the model's YAML"
        )
    return denoiser, cost_of(adapter.meta_model(config.as_found()), "" if config.reads_text else 0)


def cost_of(denoiser: Denoiser, prompt: str | int = 0) -> PassCost:
    """Return the FLOPs of one item's pass, counted on a network on the meta device; prompt: any that it takes."""
    meta = MetaModel.of(denoiser, prompt)
    return measure(meta.network, meta.blocks, meta.call)


def do(task: Task, device: str) -> float:
    """Make and store one unit; returns the seconds it took."""
    run = task.run
    precompute_text(run, device)
    denoiser, cost = load(run.model, device)
    weak, weak_cost = (None, None) if run.weak is None else load(run.weak, device)
    unit = run.unit(task.unit)

    # Seconds of what went well, in all and inside the network: attempts that did not fit are not the unit's cost.
    took: list[float] = []
    inside: list[float] = []

    def latents(items: Sequence[int]) -> tuple[Sampled, list[Account]]:
        accounts, began = [Account(), Account()], time.perf_counter()
        other = None if weak is None else Evaluator(weak, task.reuse, accounts[1])
        with Evaluator(denoiser, task.reuse, accounts[0], other) as evaluator:
            conditioning = evaluator.encode(run.bench.prompts(items))
            part = replace(unit, items=tuple(items))
            sampled = sample(evaluator, run.guidance, run.sampler, conditioning, part, device)
        inside.append(sum(account.network_seconds() for account in accounts))
        took.append(time.perf_counter() - began)
        return sampled, accounts

    def decode(rows: Sequence[int]) -> np.ndarray:
        began = time.perf_counter()
        decoded = denoiser.decode(all_latents[list(rows)]).movedim(1, -1).cpu().numpy()
        took.append(time.perf_counter() - began)
        return decoded

    begin_peak(device)
    with torch.inference_mode():
        sampled = in_parts(latents, unit.items)
        all_latents = torch.cat([made.latents for _, (made, _) in sampled])
        decoded = in_parts(decode, range(len(unit.items)))
        values = np.concatenate([part for _, part in decoded])
    seconds = sum(took)
    first, second = sampled[0][1][1]  # per item, and the same in every part: masks belong to the unit
    scales = EffectiveScale()
    for _, (made, _) in sampled:
        scales.merge(made.effective_scale)
    facts: dict[str, Any] = {
        "masks": sampled[0][1][0].masks,
        "seconds": round(seconds, 4),
        "network_seconds": round(sum(inside), 4),
        "peak_memory": peak(device),
        "calls": sum(account.calls for _, (_, accounts) in sampled for account in accounts),
        "evaluations": first.evaluations + second.evaluations,
        "flops": cost.of(first) + (0 if weak_cost is None else weak_cost.of(second)),
        "effective_scale": scales.facts(),
        "device": device,
        "environment": task.environment,
        "block_runs": first.blocks,
    }
    if len(sampled) > 1 or len(decoded) > 1:
        sizes = {"sampled": [len(part) for part, _ in sampled], "decoded": [len(part) for part, _ in decoded]}
        facts["split"] = {"reason": "out of memory", **sizes}
    kept = None
    if isinstance(run.bench, FeatureBench):
        began = time.perf_counter()
        kept = kept_of(run.bench.sink, values, device)
        facts["sink_seconds"] = round(time.perf_counter() - began, 4)  # no cost of sampling
    film = Film(run.model.film, run.model.video_fps) if run.model.makes_videos else STILL
    task.store.put(task.unit, unit.items, values, facts, task.scratch, task.keep, kept, film)
    return seconds
