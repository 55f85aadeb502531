"""Commands that messages and pages advise: each command, option, make target, script and configuration in them exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2g.cli.main import COMMANDS, load
from s2g.config.registry import GUIDANCE, SAMPLERS
from s2g.config.schema import CHECKOUT

MODULES = sorted((CHECKOUT / "s2g").rglob("*.py"))
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
TARGETS = re.findall(r"^([a-z0-9%][a-z0-9% -]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
COMMAND = re.compile(r"(?:^|[\s(`/])(s2g|make|python) (?=[a-z])([^\n;()`|&]*)")
CHOICES = {
    "model": {path.stem for path in (CHECKOUT / "configs/model").glob("*.yaml")},
    "bench": {path.stem for path in (CHECKOUT / "configs/bench").glob("*.yaml")},
    "guidance": set(GUIDANCE),
    "sampler": {*SAMPLERS, *(path.stem for path in (CHECKOUT / "configs/sampler").glob("*.yaml"))},
}


def advice_of(module: Path) -> Iterator[str]:
    """Yield what a module's errors tell people to do; X stands for what is filled in."""
    for call in ast.walk(ast.parse(module.read_text())):
        for keyword in call.keywords if isinstance(call, ast.Call) else ():
            nodes = list(ast.walk(keyword.value)) if keyword.arg in ("todo", "allowed") else []
            parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in nodes:
                if isinstance(node, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                    yield node.value


def code_of(page: Path) -> Iterator[str]:
    """Yield a page's blocks and spans of code."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
    text = page.read_text()
    yield from (block for language, block in fence.findall(text) if language in ("", "bash", "sh"))
    for paragraph in fence.sub("", text).split("\n\n"):
        yield from re.findall(r"`([^`]+)`", paragraph)


def commands_in(texts: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the programs and words of all commands in some texts."""
    for text in texts:
        for program, rest in COMMAND.findall(text):
            words = rest.split("#")[0].split()
            if program != "make" or words[0] not in ("a", "images", "it", "one", "the", "them"):  # English
                yield program, [word.strip(",.:\"'") for word in words]


def faults(program: str, words: list[str]) -> Iterator[str]:
    """Yield what is not there of a command."""
    if program == "make":
        pattern = [target.replace("%", "[A-Za-z0-9_]+") for entry in TARGETS for target in entry.split()]
        if not any(re.fullmatch(one, words[0]) for one in pattern):
            yield f"no target {words[0]}"
    elif program == "python":
        if words[0].endswith(".py") and "/" in words[0] and not (CHECKOUT / words[0]).is_file():
            yield f"no file {words[0]}"
    elif words[0] not in COMMANDS:
        yield f"no command {words[0]}"
    elif words[0] not in ("run", "submit"):
        command = load(words[0])
        if hasattr(command, "commands") and len(words) > 1 and words[1].islower():
            if words[1] not in command.commands:
                yield f"no command {words[0]} {words[1]}"
                return
            command = command.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--with", "--help"}
        yield from (f"no option {word}" for word in words if word.startswith("--") and word.partition("=")[0] not in known)
    if (program, words[0]) in (("python", "run.py"), ("s2g", "run"), ("s2g", "submit")):
        for word in words:
            group, _, names = word.partition("=")
            for name in names.split(",") if group in CHOICES else ():
                if re.fullmatch(r"[a-z0-9_]+", name) and name not in CHOICES[group]:
                    yield f"no {group}={name}"


def test_what_errors_advise_exists() -> None:
    found = [(path.name, *one) for path in MODULES for one in commands_in(advice_of(path))]
    assert len(found) > 30
    wrong = [
        f"{name}: {program} {' '.join(words)}: {fault}" for name, program, words in found for fault in faults(program, words)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    wrong = [
        f"{program} {' '.join(words)}: {f}" for program, words in commands_in(code_of(page)) for f in faults(program, words)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("make tabel2", "no target tabel2"),
        ("python scripts/trane.py", "no file scripts/trane.py"),
        ("s2g verfy RUN", "no command verfy"),
        ("s2g verify RUN --mend", "no option --mend"),
        ("s2g env bild hps", "no command env bild"),
        ("python run.py model=sd3 guidance=s3", "no guidance=s3"),
    ],
)
def test_what_is_not_there_is_found(typed: str, said: str) -> None:
    ((program, words),) = commands_in(iter([typed]))
    assert list(faults(program, words)) == [said]
