"""The documentation site's hook for MkDocs: what docs/ links to outside of itself becomes a page or a file of the site.

The pages of docs/ link as they do in the repository: to README, results, source files and folders. Here each of these gets a
place in the site (a Markdown file as a page, a source file as a page of code, a picture as it is), and links are rewritten.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Pages that stand in the navigation, or that nothing links.
FIRST = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "NOTICE.md", "RESULTS.md", "experiments/README.md")
LINK = re.compile(r"(?<=\]\()[^)\s#]+(?=[)#])")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "bash", ".toml": "toml"}

places: dict[str, str] = {}  # path in the repository -> path among the site's sources
_paths: dict[str, str] = {}  # the way back


def place(path: str) -> str:
    """Return where a file or folder of the repository stands among the site's sources."""
    file = ROOT / path
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if file.is_dir():
        return f"source/{path}/index.md"
    return f"source/{path}.md" if file.suffix in LANGUAGES or not file.suffix else path


def targets(path: str) -> dict[str, str]:
    """Return the links of a Markdown file that lead into the repository: as written -> path in the repository."""
    found = {}
    for link in LINK.findall((ROOT / path).read_text()):
        if "://" not in link and not link.startswith("mailto:"):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
            if (ROOT / target).exists():
                found[link] = target
    return found


def page_of(path: str) -> str:
    """Return the Markdown of a source file or of a folder's listing."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(child.name + "/" * child.is_dir() for child in file.iterdir() if child.name[0] not in "._")
        return f"# {path}/\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    return f"# {path}\n\n```{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text().rstrip()}\n```\n"


def on_files(files: Files, config: Any) -> Files:
    """Add everything that pages link, and what these link in turn."""
    places.clear()  # mkdocs serve builds again in one process
    _paths.clear()
    results = (str(file.relative_to(ROOT)) for file in sorted(ROOT.glob("experiments/results/**/*.md")))
    docs = (f"docs/{file.src_uri}" for file in files)
    waiting = [*(path for path in FIRST if (ROOT / path).exists()), *results, *docs]
    while waiting:
        path = waiting.pop()
        if path in places:
            continue
        places[path], _paths[place(path)] = place(path), path
        markdown = path.endswith(".md")
        if not path.startswith("docs/"):
            if places[path].endswith(".md"):
                content = (ROOT / path).read_text() if markdown else page_of(path)
                files.append(File.generated(config, places[path], content=content))
            else:
                files.append(File.generated(config, places[path], abs_src_path=str(ROOT / path)))
        if markdown:
            waiting += targets(path).values()
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Turn the links of a page to where their targets stand in the site."""
    path = _paths.get(page.file.src_uri)
    if path is None or not path.endswith(".md"):
        return markdown
    here = posixpath.dirname(places[path])
    if path.startswith("experiments/results/"):
        markdown = markdown.replace("] [", "] \\[")  # a number of a remark after an interval is no reference
    moved = {link: posixpath.relpath(places[target], here or ".") for link, target in targets(path).items()}
    return LINK.sub(lambda link: moved.get(link[0], link[0]), markdown)
