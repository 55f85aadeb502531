"""The command line: what works, and what a user's mistake looks like (one message, exit code 2, no traceback)."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import s2g
from s2g.cli.main import COMMANDS, app, load
from s2g.cli.run import main
from s2g.config.compose import COMPOSITION_ERRORS, compose_config
from s2g.config.schema import BUILTIN, CHECKOUT
from s2g.engine.resolve import resolve
from s2g.errors import UserError
from s2g.report.number_text import flat

QUICK = ["sampler.steps=2", "num=16", "executor.workers=1"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["guidance=s3"], ["guidance", "s3", "Did you mean 's2'?", "autoguidance, cfg, cfg_zero, cfgpp, fdg"]),
        (["model.family=vit"], ["model = tiny_sit", "no adapter", "model.family = vit", "model=tiny_sit"]),
        (["model=wan_1_3b"], ["bench = shapes", "wan_1_3b"]),
        (["model=wan_1_3b", "model.frames=80"], ["model.frames = 80", "81", "model.frames=77 or model.frames=81"]),
        (["model=sd35"], ["bench = shapes", "sd35", "tiny_sit"]),
        (["guidance.omgea=0.3"], ["guidance.omgea", "Did you mean 'omega'?", "drop_ratio"]),
        (["guidance.omega=much"], ["guidance.omega", "'much'", "a number"]),
        (["guidance.omega=nan"], ["guidance.omega", "nan", "a number"]),
        (["guidance.drop_ratio=0.1", "guidance.drop_blocks=1"], ["drop_ratio", "drop_blocks", "both", "keep one"]),
        (["guidance.drop_blocks=12"], ["guidance.drop_blocks", "12", "1 to 11"]),
        (["guidance.protect=[0,1,2,3,4,5,6,7,8,9,10]", "guidance.drop_blocks=2"], ["1 to 1"]),
        (["guidance.base_args={sclae: 2}"], ["sclae", "Did you mean 'scale'?"]),
        (["sampler=dopri"], ["sampler", "dopri", "Did you mean 'dopri5'?", "euler"]),
        (["sampler.steps=0"], ["sampler.steps", "1 or more"]),
        (["sampler.steps=2.5"], ["sampler.steps", "a whole number"]),
        (["num=0"], ["num", "1 or more"]),
        (["num=1"], ["num", "2 or more"]),
        (["bench.num=0", "num=null"], ["bench.num", "2 or more"]),
        (["guidance=null"], ["guidance=none", "needed"]),
        (["guidance.base=foo"], ["guidance.base", "foo", "cfg, cfg_zero, cfgpp, fdg"]),
        (["guidance.base_args=3"], ["guidance.base_args", "not a mapping"]),
        (["guidance.drop_ratio=0.99"], ["guidance.drop_ratio = 0.99 (12 blocks)", "1 to 11"]),
        (["guidance.channels=7"], ["guidance.channels", "1 to 3"]),
        (["guidance.scale=2", "guidance.base_args={scale: 3}"], ["both"]),
        (["model.network.heads=5"], ["model.network", "'heads': 5"]),
        (["+logger.x=1"], ["logger.x", "no such key"]),
        (["seed=18446744073709551616"], ["seed", "2^64"]),
        (["seed=-1"], ["seed", "0 or more"]),
        (["nmu=3"], ["nmu", "Did you mean 'num'?"]),
        (["+guidance.extra=3"], ["guidance.extra", "no such key"]),
        (["model.weights=/no/such/file.pt"], ["model.weights", "/no/such/file.pt", "builtin"]),
        (["model.dtype=fp8"], ["model.dtype", "fp32, bf16, fp16"]),
        (["executor.device=tpu"], ["executor.device", "tpu", "auto, cpu, cuda, mps"]),
        (["executor.workers=0"], ["executor.workers", "1 or more"]),
        (["model.blocks=24"], ["model.blocks", "24", "12"]),
        (["logger=wandb", "logger.mode=online"], ["logger.mode = online", "no API key", "logger.mode=offline"]),
        (["logger=wandb", "logger.mode=sometimes"], ["logger.mode", "sometimes", "online, offline, disabled"]),
        (["logger=tensorboard"], ["logger", "tensorboard", "wandb"]),
        (["guidance=cfgpp", "sampler=unipc"], ["sampler", "unipc", "cfgpp", "ddim", "euler", "flow_match_euler"]),
        (["guidance=cfg_zero", "sampler=ddim"], ["sampler", "ddim", "cfg_zero", "flow"]),
        (["guidance=cfg_zero", "sampler=sde"], ["sampler", "sde", "cfg_zero"]),
        (
            ["guidance=autoguidance", "model.presets.autoguidance.weak=null"],
            ["guidance.weak", "needs a weaker network", "guidance.weak=FILE"],
        ),
        (["guidance=autoguidance", "guidance.weak=/no/such.pt"], ["guidance.weak = /no/such.pt", "no file"]),
        (["guidance=pag", "guidance.layers=[12]"], ["guidance.layers", "[12]", "no block 12", "-12 to 11"]),
        (["guidance=cfgpp", "guidance.lam=1.5"], ["guidance.lam = 1.5", "0 to 1"]),
        (["guidance=cfgpp", "guidance.lam=0.5", "guidance.scale=3"], ["guidance.lam", "guidance.scale", "both"]),
        (["guidance=apg", "guidance.momentum=-1"], ["guidance.momentum", "-1"]),
        (["guidance=seg", "guidance.sigma=0"], ["guidance.sigma", "above 0"]),
        (["guidance=stg", "guidance.mode=both"], ["guidance.mode", "residual, attention"]),
        (["guidance.omega="], ["guidance.omega", "a number"]),
        (["guidance.omega=[1"], ["guidance.omega=[1", "key=value"]),
        (["runs="], ["runs = ''", "names no folder", "runs=FOLDER"]),
        (["runs=a\0b"], ["runs=a\0b", "cannot be read"]),
        (["--cfg=job", "-m"], ["--multirun, --cfg", "keep one"]),
        (["scale=3"], ["scale: there is no such key. Did you mean 'guidance.scale'?"]),
        (["guidance=cfg", "guidance.omega=1"], ["guidance.omega: there is no such key of guidance=cfg.", "scale"]),
        (["guidance=cfg++"], ["'cfg++'", "Did you mean 'cfgpp'?"]),
        (["guidance=CFG-Zero*"], ["Did you mean 'cfg_zero'?"]),
        (["guidance=fading"], ["a method of your own: --with FILE.py after the command"]),
        (["guidance.base=fading"], ["one of your own: --with FILE.py after the command"]),
        (["sampler=fast"], ["do: s2g ls lists what there is\n"]),
        (["model=exact_2d", "guidance=cfg"], ["exact_2d makes no classes", "gmm for toy and exact models"]),
        (["guidance=cfg,s2"], ["guidance=cfg,s2: several values", "python run.py -m guidance=cfg,s2"]),
        (["--num", "32"], ["--num: a key, typed as a flag", "do: num=32"]),
        (["--guidance.scale=3"], ["--guidance.scale", "do: guidance.scale=3"]),
        (["--plan"], ["--plan", "do: plan=VALUE"]),
        (["~seed"], ["seed", "was deleted", "leave out ~seed"]),
        (["~mask_seed"], ["mask_seed", "was deleted"]),
        (["~runs"], ["runs", "was deleted"]),
        (["~logger"], ["logger", "was deleted"]),
        (["~model.sampler.name"], ["model.sampler.name", "required", "euler"]),
        (["logger=wandb", "logger.project=team/name"], ["logger.project = team/name", "'/'", "logger.entity=TEAM"]),
    ],
)
def test_mistakes_are_named(
    typed: list[str], said: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no key in ~/.netrc
    code = main([*QUICK, f"runs={tmp_path}", *typed])
    out = capfd.readouterr()
    assert code == 2, out
    assert "Traceback" not in out.err and out.err.startswith("error: ") and out.out == ""
    for words in said:
        assert words in out.err
    assert not list(tmp_path.glob("*/units/*.json"))


def test_weights_with_missing_keys_and_wrong_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = load_file(BUILTIN / "tiny_sit.safetensors")
    del state["blocks.3.attn.qkv.weight"]
    save_file(state, tmp_path / "lacking.safetensors")
    save_file({**load_file(BUILTIN / "tiny_sit.safetensors"), "other": state["pos_embed"]}, tmp_path / "extra.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    (tmp_path / "broken.pt").write_bytes(b"not weights")
    for name, said in (
        ("lacking.safetensors", "lacks blocks.3.attn.qkv.weight"),
        ("extra.safetensors", "has besides other"),
        ("broken.safetensors", "not a weights file"),
        ("broken.pt", "not a weights file"),
    ):
        assert main([*QUICK, f"runs={tmp_path}/runs", f"model.weights={tmp_path / name}"]) == 2
        err = capfd.readouterr().err
        assert said in err and "model.weights" in err and "Traceback" not in err


def test_output_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main([*QUICK, f"runs={tmp_path / 'file'}"]) == 2
    err = capfd.readouterr().err
    assert "runs" in err and "cannot be written" in err and "Traceback" not in err


def test_a_file_that_holds_something_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for held in ([1, 2], {"ema": {"pos_embed": 3}}):
        torch.save(held, tmp_path / "other.pt")
        assert main([*QUICK, f"runs={tmp_path}/runs", f"model.weights={tmp_path / 'other.pt'}"]) == 2
        assert "does not hold tensors by name" in capfd.readouterr().err


def test_seventeen_items_are_scored_without_an_interval(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["sampler.steps=1", "num=17", "guidance=none", "executor.workers=1", f"runs={tmp_path}"]) == 0
    assert "n = 17" in capfd.readouterr().out


def test_a_run_prints_its_result_and_is_found_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*QUICK, "guidance=cfg", f"runs={tmp_path}"]
    assert main(arguments) == 0
    first = capfd.readouterr()
    assert main(arguments) == 0
    second = capfd.readouterr()
    assert "all right %" in first.out and "16 items made now" in first.out and "0 items made now" in second.out
    (folder,) = tmp_path.iterdir()
    assert folder.name in first.out.replace("\n", "") and first.err == second.err == ""


@pytest.mark.slow("starts wandb")
def test_a_run_is_logged_offline(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main([*QUICK, "guidance=none", "logger=wandb", f"logger.dir={tmp_path / 'logs'}", f"runs={tmp_path / 'runs'}"]) == 0
    said = capfd.readouterr()
    assert "logged offline; to upload: wandb sync" in said.out and said.err == ""
    assert len(list((tmp_path / "logs" / "wandb").glob("offline-run-*/*.wandb"))) == 1


@pytest.mark.slow("samples a sweep")
def test_a_sweep_ends_in_one_table_and_shares_equal_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-m", *QUICK, "guidance.omega=0.1,0.5", "guidance.drop_ratio=0.05,0.1,0.2"]) == 0
    out = capfd.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    start = next(at for at, words in enumerate(lines) if words[-1:] == ["run"])
    assert sum(words[:1] in (["0.1"], ["0.5"]) for words in lines[start : start + 8]) == 6
    assert len(list((tmp_path / "runs").iterdir())) == 4 and "are the same run" in out
    assert "no Δ for job 2: the same run as the baseline" in out


def test_a_sweep_of_no_knob_is_one_job_without_a_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, f"runs={tmp_path}", "-m", "model=tiny_sd3", "bench=prompts", "bench.text=a big cat"]) == 2
    assert capfd.readouterr().out.startswith("1 of 1: failed: prompt 'a big cat'")


def test_flags_may_stand_between_overrides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["num=16", "-m", "guidance=none,cfg", "plan=true", f"runs={tmp_path}"]) == 0
    assert [line.split("-")[1] for line in capfd.readouterr().out.splitlines() if line.startswith("tiny_sit-")] == [
        "none",
        "cfg",
    ]


@pytest.mark.slow("composes every key")
def test_no_deleted_key_is_a_traceback(composed: Callable[..., dict[str, Any]]) -> None:
    for key, _ in flat(composed()):
        with contextlib.suppress(UserError, *COMPOSITION_ERRORS):
            resolve(compose_config(f"~{key}"))


@pytest.mark.parametrize("arguments", [["tables", "--results"], ["figures", "--results"]])
def test_no_results_are_said_so(arguments: list[str], tmp_path: Path) -> None:
    """As in an installed package, which has no experiments."""
    shown = CliRunner().invoke(app, [*arguments, str(tmp_path)])
    assert isinstance(shown.exception, UserError) and f"{tmp_path}: there are no measured results" in str(shown.exception)


def test_plan_loads_and_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan=true", f"runs={tmp_path / 'runs'}", "num=100"]) == 0
    out = capfd.readouterr().out
    assert "100 items in 7 units of 16; 7 units to make" in out.replace("\n", " ") and not (tmp_path / "runs").exists()


def test_help_and_import_are_light() -> None:
    code = "import sys, s2g, s2g.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run([sys.executable, "-m", "s2g.cli.main", "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "doctor" in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert name == "run" or (shown.exit_code == 0 and "Usage" in shown.output)
    options = [option for option in load(name).params if option.param_type_name == "option" and option.name != "help"]
    assert all(option.help for option in options)


def test_the_version_is_an_option() -> None:
    said = CliRunner().invoke(app, ["--version"]).output
    assert re.fullmatch(rf"{re.escape(s2g.__version__)}( \([0-9a-f]{{10}}(, changed)?\))?\n", said)


def test_ctrl_c_ends_a_command_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("s2g.cli.commands.inventory.ls", stopped)
    shown = CliRunner().invoke(app, ["ls"])
    assert shown.exit_code == 130 and "run the same command to resume" in shown.stderr


def test_a_mistake_in_a_fresh_process_has_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "run.py"), "guidance=s3"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("error: guidance")
    assert not list(tmp_path.iterdir())


def test_a_list_shows_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    """A model's line of help is its file's first sentence, which may go on in the next line."""
    app(["ls"], standalone_mode=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "on captions of one and two objects (docs/captions.md)." in shown
    assert "captions of one moving object (docs/videos.md)." in shown and "name: tiny_sd3" not in shown


@pytest.mark.parametrize("arguments", [["ls"], ["doctor"], ["--version"]])
def test_looking_around(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    shown = subprocess.run([sys.executable, "-m", "s2g.cli.main", *arguments], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and shown.stdout and shown.stderr == ""


def test_show_tells_of_a_stored_run(tmp_path: Path) -> None:
    assert main([*QUICK, "guidance=none", f"runs={tmp_path}"]) == 0
    for name in ("tiny_sit-none", next(tmp_path.iterdir()).name, str(next(tmp_path.iterdir()))):
        arguments = [sys.executable, "-m", "s2g.cli.main", "show", name, "--runs", str(tmp_path)]
        shown = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert shown.returncode == 0 and "NoGuidance" in shown.stdout and "n = 16" in shown.stdout
        assert "fewer than 4" in shown.stdout  # why there is no interval; of others, how it was made when it was scored
    missing = subprocess.run([*arguments[:4], "nope", "--runs", str(tmp_path)], capture_output=True, text=True, check=False)
    assert missing.returncode == 2 and "tiny_sit-none" in missing.stderr and "Traceback" not in missing.stderr
