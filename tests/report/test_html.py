"""Pages: well formed, self-contained, accessible, and every formula is one that browsers draw."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import mpmath
import pytest
from plain_pages import comparison, contrast, variables

import symflow as sf
from symflow.cli.app import main
from symflow.report import html
from symflow.report.html import html_document
from symflow.report.mathml import aligned, mathml, with_formulas
from symflow.report.pages import run_document
from symflow.report.parts import Code, Document, Facts, Note, Section, Table
from symflow.report.problem_formulas import objective_section
from symflow.report.quantities import series_quantities
from symflow.theory.registry import RESULTS

VOID = {"meta", "br", "mspace", "path", "use", "rect", "circle", "line", "stop"}
FOREIGN = re.compile(r"""(?:src|href|data|action)\s*=\s*["'](?!#)|url\((?!#)|@import|<script|<iframe|<link""")


class Page(HTMLParser):
    """What a page is made of; raises where its elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.heads: list[dict[str, str | None]] = []
        self.pictures: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in given:
            self.ids[str(given["id"])] += 1
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag == "th":
            self.heads.append(given)
        if tag == "svg":
            self.pictures.append(given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["code"]):
            self.words.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    """The page of a small run with two kinks."""
    return html_document(run_document(comparison(), "symflow run p.toml"))


def test_a_page_is_well_formed_and_accessible(text: str) -> None:
    page = Page(text)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert max(page.ids.values()) == 1
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert page.heads
    assert all(head["scope"] in ("row", "col") for head in page.heads)
    assert len(page.pictures) >= 4
    for picture in page.pictures:
        named = picture.get("aria-label") or page.ids[str(picture.get("aria-labelledby"))]
        assert picture.get("aria-hidden") == "true" or (picture["role"] == "img" and named)


def test_a_page_needs_nothing_from_elsewhere(text: str) -> None:
    assert not FOREIGN.search(re.sub(r'xmlns(:xlink)?="[^"]*"', "", text))
    assert FOREIGN.search('<img src="http://example.org/a.png">')  # the control


def test_a_page_says_what_was_found_and_how_it_is_known(text: str) -> None:
    words = " ".join(" ".join(Page(text).words).split())
    for needed in ("max deviation", "certified", "sampled", "estimated", "How to reproduce it", "Kinks that the flow"):
        assert needed in words
    assert "symflow run p.toml" in text
    assert "<code>\\" not in text  # no formula was left as LaTeX


@pytest.mark.parametrize("result", RESULTS)
def test_every_result_is_mathematics(result: str) -> None:
    known = RESULTS[result]
    shown = [mathml(s.latex(), display=True) for s in (known.main, *known.parts)]
    shown += [with_formulas(text) for text in (known.remark, known.title, *(a.latex for a in known.assumptions))]
    for formula in shown:
        assert "<code>" not in formula
        assert "\\" not in formula
        Page(formula)


def test_what_cannot_be_converted_is_shown_as_latex() -> None:
    assert mathml(r"\frac{a}{\unknowncommand}") == r"<code>\frac{a}{\unknowncommand}</code>"


def test_mathml_of_lines() -> None:
    found = aligned((r"\bar{A}_{1} &= \tfrac{1}{5} W_{2}^\top R", r"&\text{where $k \le K$}"))
    assert found.count("<mtr>") == 2
    assert "<mfrac>" in found
    assert "<mtext>where</mtext>" in found.replace("&#x000A0;", "").replace(" ", "")
    assert "$" not in found


def test_text_of_users_is_shown_and_never_obeyed() -> None:
    hostile = "<script>alert(1)</script> & $x$ \x1b[31m \u202e"
    parts = (
        Note(hostile),
        Facts((("", hostile, hostile),)),
        Table(hostile, (hostile,), ((hostile,),)),
        Code("", hostile),
    )
    text = html_document(Document(hostile, "kind", hostile, (Section("one", parts),)))
    Page(text)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_colours_are_told_from_their_background() -> None:
    css = Path(html.__file__).with_name("report.css").read_text()
    for theme in variables(css):
        for name in ("text", "soft", "link", "certified", "estimated", "sampled", "bad", "faint"):
            for ground in ("page", "panel"):
                least = 3.0 if name == "faint" else 4.5
                assert contrast(theme[name], theme[ground]) >= least, (name, ground, theme)
    assert contrast("#777777", "#ffffff") < 4.5  # the control, known from the WCAG


def test_commands_write_pages(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'name = "own"\n[network]\nwidths = [1, 1, 1]\nactivation = "linear"\n[data]\nx = [["1"]]\ny = [["1"]]\n'
        '[init]\ntheta = ["1/2", "1"]\n'
        '[run]\nhorizon = "1"\nstep_size = "1/10"\ndps = 15\n'
    )
    calls = {
        "bounds": ["bounds", str(file), "--out", str(tmp_path / "bounds")],
        "certify": ["certify", str(file), "--steps", "9", "--distance", "1", "--save", str(tmp_path / "certify/t")],
        "sweep": ["sweep", str(file), "--float64", "--step-size", "1/10", "1/20", "--out", str(tmp_path / "sweep")],
    }  # fmt: skip
    (tmp_path / "certify").mkdir()
    for name, arguments in calls.items():
        assert main(arguments) == 0
        text = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        Page(text)
        assert not FOREIGN.search(re.sub(r'xmlns(:xlink)?="[^"]*"', "", text))
        assert f"symflow {name} " in text


def test_a_section_on_every_objective_is_drawn() -> None:
    parts = objective_section(comparison().problem.objective).parts
    assert len(parts) == 3


def test_a_loss_below_the_rounding_of_float64_is_the_loss() -> None:
    """f = (w - 1)^2/2 from 0: after 100 steps of 1/2 descent has 4^-100/2, the flow exp(-100)/2."""
    problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
    dev = sf.deviation(problem, step_size="1/2", horizon=50, dps=60)
    said = next(q.value for q in series_quantities(dev) if q.name == "loss at the end")
    assert said == f"flow {mpmath.nstr(mpmath.exp(-100) / 2, 6)}, descent {mpmath.nstr(mpmath.mpf(4) ** -100 / 2, 6)}"
