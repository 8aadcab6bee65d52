"""The package as others meet it: version, type marker, documented commands, a light import."""

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symflow

ROOT = Path(__file__).resolve().parents[1]


def test_installed_version_is_the_one_in_the_source() -> None:
    assert importlib.metadata.version("symflow") == symflow.__version__


def test_citation_names_the_same_version() -> None:
    versions = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions == [symflow.__version__]


def test_type_marker_is_in_the_package() -> None:
    assert importlib.resources.files("symflow").joinpath("py.typed").is_file()


def test_console_script_is_declared() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="symflow")
    assert script.value == "symflow.cli.app:main"


@pytest.mark.parametrize(("name", "part"), [("run", "symflow run"), ("test", "pytest")])
def test_readme_marks_each_command_once(name: str, part: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(rf"^<!-- command: {name} -->\n```bash\n(.+?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert len(commands) == 1
    assert part in commands[0]


@pytest.mark.parametrize("heavy", ["jax", "matplotlib"])
def test_import_leaves_heavy_libraries_out(heavy: str) -> None:
    program = f"import sys, symflow; print({heavy!r} in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "False"


def test_the_module_is_the_command() -> None:
    run = [sys.executable, "-m", "symflow", "--version"]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == f"symflow {symflow.__version__}\n"
    wrong = subprocess.run([*run[:-1], "flow", "no-such-file.toml"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
