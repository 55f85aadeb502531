"""What a worker does: it keeps the model in memory and samples one unit after another."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from s2g.config.kernels import DEFAULT, Kernels
from s2g.config.registry import MODELS
from s2g.config.schema import ModelConfig, canonical
from s2g.engine.cost import PassCost, check_blocks, full_pass, measure
from s2g.engine.environment import THREADS
from s2g.engine.memory import begin_peak, in_parts, items_at_once, peak
from s2g.engine.packed_run import pack, unpack
from s2g.engine.run import Run
from s2g.engine.steps import StepFile
from s2g.errors import IsolatedError, NotFiniteError, UserError
from s2g.guidance.effective_scale import EffectiveScale
from s2g.models.base import Denoiser
from s2g.models.meta_models import MetaModel
from s2g.network.evaluate import Account, Evaluator
from s2g.network.kernels import attention_kernel, compile_seconds, prepare_network
from s2g.sampling.loop import Sampled, sample
from s2g.store.items import STILL, Film
from s2g.store.retention import FeatureBench, extract
from s2g.store.store import Store

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Job(Protocol):
    """What a worker is given: plain data with the work as its method."""

    scoring: ClassVar[bool]  # whether it scores; else it samples

    def do(self, device: str) -> float:
        """Do the work; return the seconds it took."""
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
    keep: Mapping[str, str] | None = None  # repair: sha256 of the unit's undamaged items
    kernels: Kernels = DEFAULT

    scoring: ClassVar[bool] = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "run": pack(self.run)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "run": unpack(state["run"])})

    def do(self, device: str) -> float:
        """Sample and store the unit; return the seconds it took."""
        return sample_unit(self, device)


@dataclass(frozen=True)
class Outcome:
    """The result of a task: the seconds it took, or the error."""

    seconds: float = 0.0
    error: str = ""  # one line
    trace: str = ""
    again: bool = True  # whether another attempt may succeed
    not_finite: str = ""  # "guided" where guidance may be the reason for NaN or infinity, else "network"
    fatal: BaseException | None = None  # an error that every other task would meet too


def prepare(device: str) -> None:
    """Set torch up for a worker: one CPU thread, no TF32; the last bits of a sum depend on how it is split."""
    torch.set_num_threads(THREADS)
    if device != "cpu":
        torch.cuda.set_device(device)  # events and peak memory are read from the current device
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def serve(connection: Connection, device: str) -> None:
    """Run a worker process: receive tasks and send outcomes until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(device)
    while True:
        try:
            content = connection.recv_bytes()
        except EOFError:
            return
        connection.send(attempt_pickled(content, device))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)  # when the run is started again, its memory and its units must be free


def attempt_pickled(content: bytes, device: str) -> Outcome:
    """Do a task that comes from another process; return its outcome, as `attempt` does."""
    try:
        task = pickle.loads(content)
    except (ImportError, AttributeError) as error:
        mistake = UserError(
            f"a worker process cannot import a class of the run: {error}",
            todo="put the module on PYTHONPATH, or executor.workers=1",
        )
        return Outcome(error=str(mistake), fatal=mistake)
    return attempt(task, device)


def attempt(task: Job, device: str) -> Outcome:
    """Do a task; return its outcome, whatever the error, so that other tasks continue."""
    try:
        return Outcome(seconds=task.do(device))
    except (UserError, IsolatedError, OSError) as error:
        return Outcome(error=str(error), fatal=error)
    except NotFiniteError as error:
        why = "guided" if error.guided else "network"  # not tried again: it would give the same numbers
        return Outcome(error=str(error), trace=traceback.format_exc(), again=False, not_finite=why)
    except Exception as error:  # the only such place: a unit that fails is set aside with its traceback
        return Outcome(error=f"{type(error).__name__}: {error}".splitlines()[0], trace=traceback.format_exc())


@dataclass(frozen=True)
class _Key:
    """A model's configuration as a cache key: compared as JSON, since its mappings have no hash."""

    config: ModelConfig = field(compare=False)
    content: str

    @staticmethod
    def of(config: ModelConfig) -> _Key:
        return _Key(config, f"{type(config).__name__} {canonical(asdict(config))}")


def load(config: ModelConfig, device: str, kernels: Kernels = DEFAULT) -> tuple[Denoiser, PassCost]:
    """Return a model, set up to be computed with these kernels, and the FLOPs of its passes; the last three are cached."""
    return _load(_Key.of(config), device, kernels)


def precompute_text(run: Run, device: str) -> None:
    """Embed all prompts of a run, once per run and process, before its network needs the memory."""
    prompts = run.bench.prompts(range(len(run.units) * run.model.unit))
    for config in (run.model, run.weak):
        if config is not None and config.piped:
            _precompute_text(_Key.of(config), tuple(prompts), device)


def free_networks() -> None:
    """Free the cached networks."""
    if _load.cache_info().currsize:
        _load.cache_clear()
        torch.cuda.empty_cache()


@lru_cache(maxsize=3)
def _precompute_text(key: _Key, prompts: tuple[Any, ...], device: str) -> None:
    config = key.config
    MODELS.load(config.family).precompute_text(config, prompts, torch.device(device), DTYPES[config.dtype])


@lru_cache(maxsize=3)
def _load(key: _Key, device: str, kernels: Kernels) -> tuple[Denoiser, PassCost]:
    config = key.config
    adapter = MODELS.load(config.family)
    denoiser: Denoiser = adapter.load(config, torch.device(device), DTYPES[config.dtype])
    check_blocks(config, len(denoiser.blocks))
    prepare_network(denoiser.network, denoiser.blocks, kernels)
    return denoiser, full_pass(config)


def cost_of(denoiser: Denoiser, prompt: str | int = 0) -> PassCost:
    """Return the FLOPs of one item's pass, counted on a network on the meta device; prompt: any that it takes."""
    meta = MetaModel.of(denoiser, prompt)
    return measure(meta.network, meta.blocks, meta.call)


def sample_unit(task: Task, device: str) -> float:
    """Sample and store one unit; return the seconds it took."""
    run = task.run
    precompute_text(run, device)
    denoiser, cost = load(run.model, device, task.kernels)
    weak, weak_cost = (None, None) if run.weak is None else load(run.weak, device, task.kernels)
    unit = run.unit(task.unit)
    at_once = items_at_once(denoiser, run.sampler, len(unit.items), device)
    parts = math.ceil(len(unit.items) / at_once)
    watch = StepFile(task.scratch, run.sampler.steps, parts)

    # Seconds of successful attempts, in all and inside the network: one that ran out of memory is not the unit's cost.
    took: list[float] = []
    inside: list[float] = []

    def latents(items: Sequence[int]) -> tuple[Sampled, list[Account]]:
        accounts, began = [Account(), Account()], time.perf_counter()
        other = None if weak is None else Evaluator(weak, task.reuse, accounts[1])
        with Evaluator(denoiser, task.reuse, accounts[0], other) as evaluator:
            conditioning = evaluator.encode(run.bench.prompts(items))
            part = replace(unit, items=tuple(items))
            sampled = sample(evaluator, run.guidance, run.sampler, conditioning, part, device, watch)
        inside.append(sum(account.network_seconds() for account in accounts))
        took.append(time.perf_counter() - began)
        return sampled, accounts

    def decode(rows: Sequence[int]) -> np.ndarray:
        began = time.perf_counter()
        decoded = denoiser.decode(all_latents[list(rows)]).movedim(1, -1).cpu().numpy()
        took.append(time.perf_counter() - began)
        return decoded

    begin_peak(device)
    compiled_before = compile_seconds()
    with torch.inference_mode():
        with attention_kernel(task.kernels, device):  # a decoder has its own: other heads, another precision
            sampled = in_parts(latents, unit.items, at_once)
        all_latents = torch.cat([made.latents for _, (made, _) in sampled])
        decoded = in_parts(decode, range(len(unit.items)))
        values = np.concatenate([part for _, part in decoded])
    compiling = compile_seconds() - compiled_before  # at the first units of a process, and not part of the cost of a unit
    seconds = max(sum(took) - compiling, 0.0)
    first, second = sampled[0][1][1]  # per item, the same in every part: masks belong to the unit
    scales = EffectiveScale()
    for _, (made, _) in sampled:
        scales.merge(made.effective_scale)
    flops = cost.of(first) + (0 if weak_cost is None else weak_cost.of(second))
    facts: dict[str, Any] = {
        "masks": sampled[0][1][0].masks,
        "seconds": round(seconds, 4),
        "network_seconds": round(max(sum(inside) - compiling, 0.0), 4),
        **({"compile_seconds": round(compiling, 4)} if compiling else {}),
        "peak_memory": peak(device),
        "calls": sum(account.calls for _, (_, accounts) in sampled for account in accounts),
        "evaluations": first.evaluations + second.evaluations,
        "flops": None if math.isnan(flops) else flops,  # not counted
        "effective_scale": scales.facts(),
        "device": device,
        "environment": task.environment,
        "block_runs": first.blocks,
    }
    if len(sampled) > parts or len(decoded) > 1:
        sizes = {"sampled": [len(part) for part, _ in sampled], "decoded": [len(part) for part, _ in decoded]}
        facts["split"] = {"reason": "out of memory", **sizes}
    kept = None
    if isinstance(run.bench, FeatureBench):
        began = time.perf_counter()
        kept = extract(run.bench.extractor, values, device)
        facts["sink_seconds"] = round(time.perf_counter() - began, 4)  # not part of the cost of sampling
    film = Film(run.model.film, run.model.video_fps) if run.model.makes_videos else STILL
    task.store.put(task.unit, unit.items, values, facts, task.scratch, task.keep, kept, film)
    return seconds
