"""Files outside docs/ that the site shows: the README as its first page, studies, and whatever a page links to."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", "": "text"}
SAME = {
    "derivations/README.md": "derivations.md",
    "CHANGELOG.md": "changelog.md",
    "docs/theory": "theory/results.md",
    "docs/notebooks": "notebooks/index.md",
}
"""Files and folders of the repository that are pages under another name."""


def pages() -> dict[str, str]:
    """The pages that stand outside docs/ and are shown as they are."""
    return {
        "index.md": _from_root((ROOT / "README.md").read_text(encoding="utf-8"), ""),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "derivations.md": _from_root((ROOT / "derivations/README.md").read_text(encoding="utf-8"), "derivations"),
    }


def studies() -> dict[str, str]:
    """The tables of the seeded studies."""
    found = sorted((ROOT / "tests/studies").glob("*.md"))
    return {f"studies/{path.name}": path.read_text(encoding="utf-8") for path in found}


def copies(texts: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """A page for every text file, a copy of every picture that lies outside docs/ and that a page links to.

    Args:
        texts: Markdown by the name of its page.
    """
    found: dict[str, str | bytes] = {}
    for name, text in texts.items():
        for link in LINK.finditer(text) if isinstance(text, str) and name.endswith(".md") else ():
            path = _outside(link[1], name)
            if path is None or path in SAME:
                continue
            here = ROOT / path
            if here.suffix in LANGUAGES and here.is_file():
                code = here.read_text(encoding="utf-8")
                found[_page(path)] = f"# {path}\n\n````{LANGUAGES[here.suffix]}\n{code}````\n"
            elif here.is_file():
                found[_page(path)] = here.read_bytes()
    return found


def relinked(markdown: str, name: str) -> str:
    """The text of a page with its links out of docs/ pointing at pages of the site."""
    here = posixpath.dirname(name)

    def replace(link: re.Match[str]) -> str:
        path = _outside(link[1], name)
        return link[0] if path is None else posixpath.relpath(_page(path), here or ".") + (link[2] or "")

    return LINK.sub(replace, markdown)


def _outside(link: str, name: str) -> str | None:
    """The path in the repository that a link of a page means, where it lies outside docs/ or has another name there."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(name), link))
    return path if path in SAME or not path.startswith("docs/") else None


def _page(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in SAME:
        return SAME[path]
    if path.startswith("tests/studies/"):
        return f"studies/{posixpath.basename(path)}"
    return f"sources/{path}.md" if Path(path).suffix in LANGUAGES else f"sources/{path}"


def _from_root(markdown: str, folder: str) -> str:
    """The text of a page of the repository with links as if it stood in docs/."""

    def replace(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        inside = path.startswith("docs/") and path not in SAME
        return (path.removeprefix("docs/") if inside else f"../{path}") + (link[2] or "")

    return LINK.sub(replace, markdown)
