"""What mkdocs calls: adds the generated pages, points links out of docs/ at copies, writes formulas as MathML."""

from __future__ import annotations

import re
import sys
from html import unescape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from docs.generate import api, commands, keys, notebooks, outside, results  # noqa: E402
from symflow.report.mathml import mathml  # noqa: E402

FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)
SOURCE = re.compile(
    r'<details class="source" open>\s*<summary>(.*?)</summary>\s*(?:<p>(.*?)</p>)?\s*</details>', re.DOTALL
)
"""What mkdocstrings makes of a docstring's line "Source: ..."."""
SECTIONS = {"command-line.md": commands.section, "problem-files.md": keys.section}
"""Pages written by hand that end with what is generated."""


def pages() -> dict[str, dict[str, str | bytes]]:
    """Folder -> its generated pages, in the order in which they are listed."""
    return {
        "notebooks/": notebooks.pages(),
        "theory/": results.pages(),
        "reference/": api.pages(),
        "studies/": outside.studies(),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the pages, and puts them where the navigation names their folder."""
    config.generated = made = pages()
    config.nav = [_filled(entry, made) for entry in config.nav or ()]
    return config


def _filled(entry: object, made: dict[str, dict[str, str | bytes]]) -> object:
    """The entry with each folder of generated pages replaced by its pages."""
    if isinstance(entry, dict):
        return {title: _filled(inner, made) for title, inner in entry.items()}
    if isinstance(entry, list):
        lists = [_filled(inner, made) for inner in entry]
        return [page for x in lists for page in (x if isinstance(x, list) else [x])]
    return [name for name in made[entry] if name.endswith(".md")] if entry in made else entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages and the copies of what the pages link to."""
    found = {name: text for folder in config.generated.values() for name, text in folder.items()}
    found |= outside.pages()
    found |= outside.copies({f.src_uri: f.content_string for f in files.documentation_pages()} | found)
    for name, text in found.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A page with its generated end, its links out of docs/ pointing at copies."""
    name = page.file.src_uri
    if name == "theory/results.md":  # each of its parts has a page
        page.meta["search"] = {"exclude": True}
    return outside.relinked(markdown + (SECTIONS[name]() if name in SECTIONS else ""), name)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Every formula as MathML, which browsers draw by themselves; sources of results as lines."""
    html = SOURCE.sub(lambda m: f"<p><strong>Source:</strong> {m[1]} {m[2] or ''}</p>", html)
    return FORMULA.sub(lambda m: mathml(unescape(m[3]).strip(), display=m[2] == "["), html)
