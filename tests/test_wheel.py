"""The wheel, in an environment of its own outside the checkout: the library alone, then the command."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
# A pipeline of diffusers without text, guided: base packages only. The network is random, so the images differ by much.
LIBRARY = """
import torch, s2g
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

torch.manual_seed(0)
network = DiTTransformer2DModel(2, 8, 4, 8, num_layers=6, sample_size=8).eval()
for parameter in network.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
pipe = DiTPipeline(network, AutoencoderKL(), DDIMScheduler())

def images():
    return pipe([1], generator=torch.Generator().manual_seed(0), num_inference_steps=4, output_type="np").images

plain = images()
with s2g.guide(pipe, s2g.S2(omega=0.5, drop=2), scale=4.0):
    guided = images()
with s2g.guide(pipe, s2g.S2(omega=0.0, drop=2), scale=4.0):
    unguided = images()
assert abs(plain - guided).max() > 0.01 and abs(plain - unguided).max() == 0
try:
    s2g.run
except ImportError as error:
    print(error)
"""


def call(*command: str | Path, cwd: Path, ok: bool = True) -> str:
    """Run a command away from the checkout and return what it prints."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "S2G", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode == 0) == ok, done.stdout[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow("builds the wheel, 45 MB")
def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    here = {path.relative_to(ROOT) for path in (ROOT / "s2g").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.as_posix() for path in here} <= held
    assert {
        f"s2g/configs/{path.relative_to(ROOT / 'configs').as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")
    } <= held


@pytest.mark.slow("installs the pinned packages in a fresh environment")
def test_the_wheel_serves_the_library_alone_and_with_bench_the_command(wheel: Path, tmp_path: Path) -> None:
    env, lock = tmp_path / "env", ROOT / "requirements.lock"
    call(UV, "venv", "--quiet", "--python", sys.executable, env, cwd=tmp_path)
    python, command = env / "bin/python", env / "bin/s2g"
    call(UV, "pip", "install", "--quiet", "--python", python, "--constraint", lock, wheel, cwd=tmp_path)
    assert call(python, "-W", "error::UserWarning:s2g", "-c", LIBRARY, cwd=tmp_path).splitlines()[-1] == (
        "s2g.run needs the package rich: pip install '.[bench]' in a checkout"
    )
    assert "pip install '.[bench]' in a checkout" in call(command, "--version", cwd=tmp_path, ok=False)

    call(UV, "pip", "install", "--quiet", "--python", python, "--constraint", lock, f"{wheel}[bench]", cwd=tmp_path)
    assert call(command, "--version", cwd=tmp_path) == "0.1.0\n"
    assert "ready:" in call(command, "doctor", cwd=tmp_path)
    made = call(command, "run", "model=tiny_sit", "guidance=s2", "bench=shapes", "num=8", "sampler.steps=4", cwd=tmp_path)
    assert "probe FD" in made
    call(command, "demo", "--model", "tiny_sit", "--num", "16", cwd=tmp_path)
    assert (tmp_path / "outputs/demo/index.html").is_file()
    said = call(command, "table", "table2", cwd=tmp_path, ok=False)
    assert "experiments are read from a checkout" in said and "Traceback" not in said
