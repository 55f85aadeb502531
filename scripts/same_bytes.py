"""Whether a change of the code changes a byte of samples, scores, tables or keys: digests of a fixed list of small runs.

    python scripts/same_bytes.py digest before.json --checkout ../before
    python scripts/same_bytes.py digest after.json
    python scripts/same_bytes.py compare before.json after.json

Both digests are made on one machine with one torch: elsewhere last bits are others. Everything goes through the command
line, and keys of results through same_keys.py beside this file, so that the code can move. It takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHORT = "num=16 sampler.steps=6"  # one unit
# Full-size models with random weights, few blocks and narrow ones.
SMALL = "num=2 sampler.steps=4 model.weights=random model.blocks=4 guidance.drop_blocks=1"
# What follows `python run.py`, the longest first; each with a folder of its own, since executor.reuse is not in the key.
RUNS = {
    "methods": f"-m guidance=none,cfg,cfgpp,apg,cfg_zero,adg,autoguidance,s2,s2_naive,slg,stg,pag,seg,pruned {SHORT}",
    "samplers": f"-m sampler=euler,heun,sde,ddim,ddpm,flow_match_euler,flux_euler,unipc,dpmpp {SHORT}",
    "captions": "-m model=tiny_sd3 bench=shapes_t2i guidance=s2,pag,slg num=24 sampler.steps=6",
    "videos": f"-m model=tiny_wan bench=shapes_t2v guidance=s2,stg,seg {SHORT}",
    "plain": f"-m guidance=s2,s2_naive executor.reuse=false guidance.form=eq4,eq20 guidance.drop_blocks=2 {SHORT}",
    "heun": f"-m sampler=heun guidance=cfg_zero,apg,cfg guidance.window=null,[0.2,0.8] {SHORT}",
    "bases": "-m guidance=s2 guidance.base=apg,cfg_zero guidance.channels=null,2"
    f" guidance.window=[0.2,0.8],{{start:0.2,stop:0.8,by:level}} {SHORT}",
    "momentum": f"-m guidance=apg guidance.momentum=-0.5,0.5 guidance.form=paper,diffusers {SHORT}",
    "processes": "guidance=s2 executor.workers=2 num=40 sampler.steps=6 seed=1 mask_seed=2",
    "sd35": f"model=sd35 bench=prompts {SMALL} model.resolution=128 model.network.num_layers=4 model.network.sample_size=16"
    " model.network.dual_attention_layers=[0,1] model.network.num_attention_heads=2 model.network.pos_embed_max_size=16"
    " model.network.caption_projection_dim=128",
    "flux": f"model=flux bench=prompts {SMALL} model.resolution=64 model.network.num_layers=2 model.network.num_single_layers=2"
    " model.network.num_attention_heads=1",
    "wan": f"model=wan_1_3b bench=prompts_video {SMALL} model.network.num_layers=4 model.network.num_attention_heads=1"
    " model.frames=5 model.height=32 model.width=32",
    # It ends with 2: what would score them, Inception, is not here.
    "sit_dit": f"-m model=sit_xl,dit_xl bench=imagenet {SMALL} model.network.depth=4 model.network.width=64"
    " model.network.heads=2",
    "adaptive": "guidance=cfg sampler=dopri5 sampler.atol=1e-3 sampler.rtol=1e-2 num=16",
    "mixtures": "-m model=toy_1d,toy_2d model.noise=random,even guidance=cfg,autoguidance,s2 bench=gmm num=200 sampler.steps=6",
    "attention": f"guidance=stg guidance.mode=attention executor.reuse=false {SHORT}",
    "velocity": f"guidance=cfgpp guidance.renoise=velocity {SHORT}",
    "fresh_noise": f"guidance=cfg guidance.rescale=0.7 sampler=ddim sampler.eta=1 {SHORT}",
    "exact": "-m model=exact_1d,exact_2d guidance=none,cfg,cfgpp,apg,cfg_zero,adg bench=gmm num=200 sampler.steps=6",
    "digits": "-m model=digits_sit bench=digits guidance=cfg,autoguidance,s2 num=48 sampler.steps=6",
}
TABLES = ("table2 --num 16", "eq29", "fig6", "fig10 --num 64")  # what follows `s2g table`
TEXTS = ("tables", "plan table1 --profile paper", "ls")  # what follows `s2g`; what it prints is digested
GROUPS = ("model", "guidance", "sampler", "bench")  # of configs/
# What tells of time, machine and versions, and sums over that, at every level of a JSON file; beside whatever is in seconds.
VOLATILE = {"begun", "check", "environment", "made", "peak_memory", "versions"}
ABOUT_MACHINE = {"env.json", "journal.jsonl"}  # files that hold nothing else
Digests = dict[str, Any]  # names to digests, in as many levels as there are


class Checkout:
    """A checkout whose commands are run, and a folder for what they make."""

    def __init__(self, root: Path, made: Path) -> None:
        self.root, self.made = root, made
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        self.module, self.function = project["scripts"]["s2g"].split(":")
        own = {
            "PYTHONPATH": str(root),
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "same_bytes_pycache"),
            "OMP_NUM_THREADS": "1",
            "S2G_CACHE": str(made / "cache"),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "200",
        }
        # Without compiled files every process would spend ten seconds on compiling its imports.
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | own

    def python(self, label: str, *arguments: str) -> tuple[int, str]:
        """Run python in the checkout; its exit code and what it printed."""
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        print(f"{time.perf_counter() - began:4.0f} s, exit code {done.returncode}: {label}", file=sys.stderr, flush=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr, flush=True)
        return done.returncode, done.stdout

    def s2g(self, arguments: str, *more: str) -> tuple[int, str]:
        """Run the s2g command from where pyproject.toml says it is."""
        start = f"import sys; from {self.module} import {self.function} as main; sys.argv[0] = 's2g'; sys.exit(main())"
        return self.python(f"s2g {arguments}", "-c", start, *shlex.split(arguments), *more)

    def run(self, name: str) -> Digests:
        """Make the runs of that name and digest their folders, each of which has a run's key for its name."""
        place = self.made / "runs" / name  # a comma in it would be a sweep
        arguments = shlex.split(RUNS[name])
        if not any(argument.startswith("executor.workers=") for argument in arguments):
            arguments.append("executor.workers=1")
        code, _ = self.python(name, "run.py", *arguments, f"runs={place}", f"hydra.sweep.dir={self.made / 'hydra'}")
        return {"exit code": code, **{folder.name: digests_of(folder, self.root) for folder in place.glob("*")}}

    def table(self, arguments: str) -> Digests:
        """Make a table or figure and digest its files."""
        out, runs = (self.made / "tables" / arguments / name for name in ("out", "runs"))
        code, _ = self.s2g(f"table {arguments}", "--workers", "1", "--out", str(out), "--runs", str(runs))
        return {"exit code": code, **digests_of(out, self.root)}

    def text(self, arguments: str) -> Digests:
        """Digest what a command of s2g prints."""
        code, text = self.s2g(arguments)
        return {"exit code": code, "text": sha256(text.encode())}

    def configuration(self, number: int) -> Digests:
        """Digest a composed configuration, of each group the file of that number; groups with fewer begin again."""
        names = {group: names_of(self.root, group) for group in GROUPS}
        typed = [f"{group}={found[number % len(found)]}" for group, found in names.items()]
        code, text = self.python(" ".join(typed), "run.py", "--cfg", "job", "--resolve", *typed)
        return {" ".join(typed): {"exit code": code, "text": sha256(text.encode())}}

    def keys(self) -> Digests:
        """Compute the keys of experiments/results again: committed key to today's."""
        code, text = self.python("keys", str(Path(__file__).resolve().with_name("same_keys.py")))
        return json.loads(text) if code == 0 else {"exit code": code}


def names_of(root: Path, group: str) -> list[str]:
    """List a group's configurations."""
    return sorted(path.stem for path in (root / "configs" / group).glob("*.yaml"))


def digests_of(folder: Path, root: Path) -> Digests:
    """Digest every file below a folder, leaving out dates, the machine, and where the checkout at `root` lies."""
    made = [json.loads(path.read_text()).get("made", {}) for path in folder.glob("*-*.json") if path.stem.count(".") == 0]
    told = [about[name] for about in made for name in ("date", "machine", "torch") if name in about] + [str(root)]
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ABOUT_MACHINE)
    return {str(path.relative_to(folder)): digest_of(path, told) for path in files}


def digest_of(path: Path, told: list[str]) -> str:
    """Digest a file: JSON by its values, text by its bytes, both without the words of `told`; anything else by its bytes."""
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(lasting(json.loads(content)), sort_keys=True).encode()
    if path.suffix in (".json", ".md", ".tex"):
        for words in told:
            content = content.replace(words.encode(), b"")
    return sha256(content)


def lasting(value: Any) -> Any:
    """Leave out what is volatile, at every level."""
    if isinstance(value, Mapping):
        return {key: lasting(inside) for key, inside in value.items() if key not in VOLATILE and "seconds" not in key}
    return [lasting(inside) for inside in value] if isinstance(value, list) else value


def sha256(content: bytes) -> str:
    """Hash bytes."""
    return hashlib.sha256(content).hexdigest()


def digest(root: Path, made: Path) -> Digests:
    """Make and digest everything, two processes at a time."""
    checkout = Checkout(root, made)
    _, imported = checkout.python("s2g that is imported", "-c", "import s2g; print(s2g.__file__)")
    if not imported.startswith(f"{root}/"):
        raise SystemExit(f"{root}: its s2g is not the one that is imported: {imported}")
    configurations = range(max(len(names_of(root, group)) for group in GROUPS))
    jobs: list[tuple[str, Any, Callable[[], Digests]]] = [
        *(("texts", text, lambda text=text: checkout.text(text)) for text in TEXTS),
        *(("tables", name, lambda name=name: checkout.table(name)) for name in TABLES),
        ("keys", "", checkout.keys),
        *(("runs", name, lambda name=name: checkout.run(name)) for name in RUNS),
        *(("configurations", "", lambda number=number: checkout.configuration(number)) for number in configurations),
    ]
    digests: Digests = {}
    with ThreadPoolExecutor(2) as pool:
        for (kind, name, _), found in zip(jobs, pool.map(lambda job: job[2](), jobs), strict=True):
            digests.setdefault(kind, {}).update({name: found} if name else found)
    return digests


def differences(a: Any, b: Any, name: str = "") -> Iterator[str]:
    """Yield a line for everything that is not the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            inside = f"{name} / {key}" if name else key
            if key in a and key in b:
                yield from differences(a[key], b[key], inside)
            else:
                yield f"{inside}: only in the {'first' if key in a else 'second'}"
    elif a != b:
        yield f"{name}: {a} and {b}"


def main() -> int:
    """Digest a checkout, or compare two digests: 0 where they are the same, 1 where not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("digest", help="make everything and write its digests")
    making.add_argument("out", type=Path)
    making.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[1])
    making.add_argument("--runs", type=Path, help="an empty folder for what is made; a temporary one when not given")
    comparing = commands.add_parser("compare", help="say what differs between two digests")
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        found = list(differences(*(json.loads(path.read_text()) for path in (arguments.first, arguments.second))))
        print("\n".join(found) or "no difference")
        return 1 if found else 0
    with tempfile.TemporaryDirectory(prefix="same_bytes_") as temporary:
        made = (arguments.runs or Path(temporary)).absolute()
        if made.exists() and any(made.iterdir()):
            parser.error(f"--runs {made}: it is not empty, and what lies there would be taken for what is made now")
        digests = digest(arguments.checkout.resolve(), made)
    arguments.out.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
    other = sum(committed != today for committed, today in digests["keys"].items())
    print(f"{len(digests['keys'])} keys of results, {other} of which are others today; {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
