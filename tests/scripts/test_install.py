"""Installation without CUDA, and the Dockerfile line by line: what a machine without Docker and downloads can check."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from s2g.config.schema import CHECKOUT

LOCK = (CHECKOUT / "requirements.lock").read_text()
DOCKERFILE = [line for line in (CHECKOUT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
FOR_CUDA = re.compile(r"^(nvidia-|cuda-|triton=)", re.M)


def recipe(*more: str) -> str:
    return subprocess.run(
        ["make", "--always-make", "-n", "setup", *more], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout


def pins(shown: str) -> str:
    """Return what the recipe pipes into uv."""
    command = next(line for line in shown.splitlines() if "pip sync" in line).partition(" | ")[0]
    return subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


def test_without_cuda_uv_takes_the_cpu_build_and_no_pin_of_cuda() -> None:
    shown = recipe("TORCH=cpu")
    assert "--torch-backend cpu -" in shown and len(FOR_CUDA.findall(LOCK)) > 15
    left = pins(shown)
    assert not FOR_CUDA.search(left) and {"torch", "torchvision", "diffusers"} <= set(re.findall(r"^([\w.-]+)==", left, re.M))
    assert len(re.findall("^[a-z].*==", LOCK, re.M)) - len(re.findall("^[a-z].*==", left, re.M)) == len(FOR_CUDA.findall(LOCK))


def test_by_default_the_lock_is_installed_as_it_is() -> None:
    assert "--torch-backend" not in recipe() and pins(recipe()) == LOCK


def test_every_file_that_the_image_copies_is_here_and_none_is_ignored() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().split()
    for line in DOCKERFILE:
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (CHECKOUT / source).exists() and source not in ignored, line


def test_the_image_has_what_the_package_is_built_from_before_it_is_built() -> None:
    setup = DOCKERFILE.index("RUN make setup TORCH=$TORCH")
    copied = {word for line in DOCKERFILE[:setup] if line.startswith("COPY ") for word in line.split()[1:-1]}
    assert {"Makefile", "requirements.lock", "pyproject.toml", "README.md", "LICENSE", "NOTICE.md", "configs"} <= copied
    assert DOCKERFILE[setup + 1] == "COPY . ." and any(line.startswith("ARG TORCH=cpu") for line in DOCKERFILE[:setup])


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="not Debian")
def test_every_package_that_the_image_installs_exists() -> None:
    line = next(line for line in DOCKERFILE if "apt-get install" in line)
    names = line.partition("--no-install-recommends")[2].partition("&&")[0].split()
    assert len(names) == 4
    for name in names:
        known = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True)
        if "Unable to locate" in known.stderr or known.returncode:
            pytest.skip("the package lists of this machine are empty: apt-get update")
        assert known.stdout.startswith("Package:")
