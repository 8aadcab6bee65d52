"""Named problems that reproduce published settings: problem files of the package, `example_files/NAME.toml`.

The comment at the top of a file says what it is: its first line the setting in a few words, then what is published and
what is ours, and after ``Source:`` the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symflow.displays import Listed, displayed
from symflow.errors import ProblemError, brief, did_you_mean
from symflow.problem.load import load_problem
from symflow.problem.problem import Problem

FOLDER = Path(__file__).with_name("example_files")


@displayed
@dataclass(frozen=True)
class Example:
    """A named problem: `sf.example(name)` is the problem itself.

    Attributes:
        name: such as "single-neuron".
        setting: the network, in a few words.
        notes: what is published about it, and what of the setting is not from there.
        source: the paper.
        path: the problem file.

    Example:
        >>> found = {x.name: x for x in sf.examples()}["momentum-toy"]
        >>> found.setting, found.path.name
        ('a product of two scalars under heavy ball', 'momentum-toy.toml')
    """

    name: str
    setting: str
    notes: str
    source: str
    path: Path

    def __repr__(self) -> str:
        return f"<example {self.name}: {self.setting}>"


def examples() -> tuple[Example, ...]:
    """The named problems, each with its source; `sf.example` loads one.

    Example:
        >>> sf.examples()[0].name
        'deep-linear-5'
    """
    return Listed(_read(path) for path in sorted(FOLDER.glob("*.toml")))


def example(name: str) -> Problem:
    """A problem that reproduces a published setting.

    Args:
        name: one of those that `examples` lists. On the command line: ``symflow flow example:single-neuron``.

    Raises:
        ProblemError: an unknown name.

    Example:
        >>> problem = sf.example("single-neuron")
        >>> problem.name, problem.network.widths, problem.horizon
        ('single-neuron', (2, 1, 1), Fraction(20, 1))
    """
    names = [path.stem for path in sorted(FOLDER.glob("*.toml"))]
    if not isinstance(name, str) or name not in names:
        hint = did_you_mean(name, names)
        raise ProblemError(f"example: must be the name of an example, got {brief(name)}; {hint}")
    return load_problem(FOLDER / f"{name}.toml")


def _read(path: Path) -> Example:
    """What the comment at the top of a file says."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    notes, _, source = "\n".join(lines[1:]).partition("Source:")
    return Example(path.stem, lines[0].rstrip("."), " ".join(notes.split()), " ".join(source.split()), path)
