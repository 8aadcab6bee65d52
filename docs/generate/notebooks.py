"""The notebooks of docs/notebooks: executed, compared with what they show, and made into pages.

`python -m docs.generate.notebooks` executes them and writes their outputs anew.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
_MATHS = re.compile(r"^\$\$?|\$\$?$")


def paths() -> list[Path]:
    """The notebooks, in the order in which they are read."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The outputs of every code cell, as Jupyter stores them; the last expression of a cell is shown.

    Raises:
        Exception: whatever a cell raises.
    """
    import matplotlib

    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [_outputs("".join(cell["source"]), names, number) for number, cell in enumerate(code, start=1)]


def _outputs(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree, value, printed = ast.parse(source), None, io.StringIO()
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None and not source.rstrip().endswith(";"):
            value = eval(compile(last, f"cell {number}", "eval"), names)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        data = {mime: shown.splitlines(True) for mime, shown in _shown(value).items()}
        found.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return found


def _shown(value: Any) -> dict[str, str]:
    """What a notebook shows of a value; of axes their figure."""
    from IPython.core.formatters import DisplayFormatter
    from matplotlib.axes import Axes

    if isinstance(value, Axes):
        drawn = io.BytesIO()
        value.figure.savefig(drawn, format="png", dpi=100, bbox_inches="tight", metadata={"Software": None})
        return {"image/png": base64.b64encode(drawn.getvalue()).decode(), "text/plain": "a picture"}
    data, _ = DisplayFormatter().format(value)
    return {mime: shown for mime, shown in data.items() if isinstance(shown, str)}


def differences(path: Path) -> list[str]:
    """Where the outputs of a fresh execution are not those that the notebook shows; pictures are not compared."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    stored = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        f"{path.name}, cell {number}: shows {then}, gives {now}"
        for number, (then, now) in enumerate(zip(map(_texts, stored), map(_texts, executed(notebook)), strict=True), 1)
        if then != now
    ]


def _texts(outputs: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {mime: "".join(shown) for mime, shown in _data(output).items() if not mime.startswith("image/")}
        for output in outputs
    ]


def _data(output: dict[str, Any]) -> dict[str, Any]:
    return output["data"] if "data" in output else {"text/plain": output["text"]}


def pages() -> dict[str, str | bytes]:
    """A page for each notebook, from its outputs, after their pictures and a list of all."""
    found: dict[str, str | bytes] = {}
    index = ["# Notebooks", "Executed by the tests, which compare what is shown here with what the package gives."]
    for path in paths():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        parts: list[str] = []
        for number, cell in enumerate(notebook["cells"]):
            source = "".join(cell["source"])
            parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
            name = f"{path.stem}-{number}"
            parts += [_page_output(_data(output), name, found) for output in cell.get("outputs", [])]
        parts.insert(1, f"[Download this notebook]({path.name})")
        found[f"notebooks/{path.stem}.md"] = "\n\n".join(parts) + "\n"
        title = "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        index.append(f"- [{title}]({path.stem}.md)")
    return {"notebooks/index.md": "\n\n".join([*index[:2], "\n".join(index[2:])]) + "\n", **found}


def _page_output(data: dict[str, Any], name: str, found: dict[str, str | bytes]) -> str:
    """One output as Markdown, in the richest form that it has; a picture is added to what is found."""
    if "image/png" in data:
        found[f"notebooks/{name}.png"] = base64.b64decode("".join(data["image/png"]))
        return f"![What the cell above draws]({name}.png)"
    if "text/html" in data:
        return f'<div class="output">{"".join(data["text/html"])}</div>'
    if "text/latex" in data:
        return "```math\n" + _MATHS.sub("", "".join(data["text/latex"]).strip()).strip() + "\n```"
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    return "```text\n" + "".join(data["text/plain"]).rstrip() + "\n```"


def main() -> int:
    """Executes every notebook and writes its outputs; the exit status."""
    os.chdir(FOLDER)
    for path in paths():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for number, (cell, outputs) in enumerate(zip(code, executed(notebook), strict=True), start=1):
            cell |= {"execution_count": number, "outputs": outputs}
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
