"""`symflow examples`: the named problems that every command takes as example:NAME."""

from __future__ import annotations

from symflow.cli.exit_status import Answer
from symflow.cli.options import Json
from symflow.cli.streams import say


def examples(as_json: Json = False) -> Answer:
    """List problems of published settings. Each name stands for a file: symflow flow example:single-neuron."""
    from symflow.problem.examples import examples as named

    found = named()

    def show() -> None:
        for x in found:
            say(f"{x.name}: {x.setting}\n    {x.source}")

    def data() -> dict[str, object]:
        keys = ("name", "setting", "notes", "source", "path")
        return {"examples": [{key: str(getattr(x, key)) for key in keys} for x in found]}

    return Answer(data, show)
