"""The documentation: what its generated pages hold, and the notebooks."""

import json
import re
import tomllib
from html import unescape
from pathlib import Path

import pytest

import symflow as sf
from docs.generate import api, commands, keys, notebooks, outside, results
from symflow.cli.app import app
from symflow.report.mathml import mathml
from symflow.theory.registry import RESULTS

ROOT = Path(__file__).parents[1]
DISPLAY = re.compile(r"```math\n(.*?)\n```", re.DOTALL)
INLINE = re.compile(r"(?<!\\)\$([^$]+)\$")


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_the_package_gives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert notebooks.differences(path) == []


def test_a_notebook_that_shows_something_else_is_seen(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["print(1)\n", "2 + 2"]}
    wrong = tmp_path / "wrong.ipynb"
    for shown, found in (("4", 0), ("5", 1)):
        outputs = [
            {"output_type": "stream", "text": ["1\n"]},
            {"output_type": "execute_result", "data": {"text/plain": [shown]}},
        ]
        wrong.write_text(json.dumps({"cells": [cell | {"outputs": outputs}]}), encoding="utf-8")
        assert len(notebooks.differences(wrong)) == found


def test_the_interface_is_listed_once_and_in_full() -> None:
    listed = [name.rpartition(".")[2] for names in api.rooms().values() for name in names]
    assert sorted(listed) == sorted(name for name in sf.__all__ if name != "__version__")
    pages = api.pages()
    assert all(
        f"::: {name}\n" in pages[f"reference/{room}.md"] for room, names in api.rooms().items() for name in names
    )


def test_every_key_of_problem_files_has_a_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    text = keys.section()
    assert "| `widths` | a list of 2 to" in text
    assert "| `dps` | an integer from" in text
    assert "| `50` | decimal digits to work with |" in text
    meanings = tomllib.loads((ROOT / "docs/generate/keys.toml").read_text(encoding="utf-8"))
    for table, change in (("run", {"dps": None}), ("run", {"colour": "red"}), ("paint", {})):
        changed = meanings | {table: {**meanings.get(table, {}), **change}}
        changed[table] = {key: meaning for key, meaning in changed[table].items() if meaning is not None}
        monkeypatch.setattr(
            keys.tomllib, "loads", lambda text, changed=changed: {k: dict(v) for k, v in changed.items()}
        )
        with pytest.raises(KeyError, match=r"keys\.toml"):
            keys.section()


def test_every_command_and_option_is_listed() -> None:
    import typer

    text = commands.section()
    for name, command in typer.main.get_command(app).commands.items():
        _, _, mine = text.partition(f"### `symflow {name}`\n")
        mine, _, _ = mine.partition("\n### ")
        assert all(option in mine for p in command.params if p.name != "help" for option in p.opts if "-" in option)


def test_every_result_has_a_page_and_its_formulas_are_shown() -> None:
    pages = results.pages()
    assert len(pages) == len(RESULTS)
    unread = []
    for text in pages.values():
        assert "## Derivation" in text
        formulas = [(m, True) for m in DISPLAY.findall(text)]
        formulas += [(m, False) for m in INLINE.findall(DISPLAY.sub("", text))]
        unread += [unescape(shown) for f, display in formulas if (shown := mathml(f, display)).startswith("<code>")]
    assert unread == []
    assert mathml(r"\nosuchcommand x").startswith("<code>")
    assert "| R22(tube) |" in pages["theory/r22-trajectory-wise.md"]
    assert "| R2(" not in pages["theory/r2-euler.md"]


def test_links_out_of_the_pages_are_followed() -> None:
    text = "[a](../examples/linear.toml) [b](numbers.md#for-all-time) [c](https://x.org/y.md)"
    assert outside.relinked(text, "guide.md") == (
        "[a](sources/examples/linear.toml.md) [b](numbers.md#for-all-time) [c](https://x.org/y.md)"
    )
    assert outside.relinked("[d](../../tests/studies/bounds.md)", "theory/r1.md") == "[d](../studies/bounds.md)"
    copies = outside.copies({"guide.md": "[a](../examples/linear.toml) [b](numbers.md)"})
    assert list(copies) == ["sources/examples/linear.toml.md"]
    assert "widths" in str(copies["sources/examples/linear.toml.md"])
    assert outside.pages()["index.md"].count("](problem-files.md)") == 1
