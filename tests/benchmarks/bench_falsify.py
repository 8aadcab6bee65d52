"""How long true claims survive the falsifier, and how fast false ones fall.

    python tests/benchmarks/bench_falsify.py [CLAIM ...] [--seconds 600] [--seed 0] [--out tests/studies/survivors.md]

CLAIM is a name of tests/analysis/claims_to_refute.py; the true claims have `--seconds` each, false ones a minute. The
table is printed and, after every claim, written to `--out`. Exit status 1 where a true claim is refuted, or a false
one is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "analysis"))

from claims_to_refute import FALSE, TRUE
from into_docs import versions

import symflow as sf

HEAD = """\
| claim | verdict | seconds | shapes | points | ascents | exact points | best margin |
|---|---|---|---|---|---|---|---|"""


def row(name: str, verdict: sf.Verdict) -> str:
    """What was searched, and what was found."""
    s = verdict.searched
    counts = f"{s.setups:,} | {s.points:,} | {s.ascents:,} | {s.confirmations:,}"
    return f"| {name} | {verdict.status} | {s.seconds:.0f} | {counts} | {s.best_margin:.2g} |"


def document(rows: list[str], seconds: float, seed: int) -> str:
    """The table with its title and what was run."""
    return f"""\
# Claims and the falsifier

`tests/benchmarks/bench_falsify.py`, {seconds:g} s for each true claim, seed {seed}. The best margin is the largest
(small - large - rounding)/(|small| + |large|) seen in float64: negative where nothing came near a violation; points
above 0 are decided at 50 digits. Float64 sees violations also where both sides are as small as its
rounding (saturated cross-entropy), or where its integration drifts at kinks (R10). Not refuted is not proved.

{HEAD}
{chr(10).join(rows)}

{versions()}
"""


def main() -> int:
    """Runs every claim, or some."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("claims", nargs="*", choices=[*TRUE, *FALSE, []], metavar="CLAIM")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    wrong, rows = 0, []
    print(HEAD)
    for name in given.claims or [*TRUE, *FALSE]:
        claim, family = (TRUE | FALSE)[name]
        seconds = given.seconds if name in TRUE else min(given.seconds, 60)
        verdict = sf.falsify(claim, family, seconds=seconds, seed=given.seed)
        wrong += (verdict.status == "refuted") != (name in FALSE)
        rows.append(row(name, verdict))
        print(rows[-1], flush=True)
        print(f"{name}: {verdict!r}", file=sys.stderr, flush=True)
        if given.out is not None:
            given.out.write_text(document(rows, given.seconds, given.seed), encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
