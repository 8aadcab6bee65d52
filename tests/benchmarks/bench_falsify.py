"""How long true claims survive the falsifier, and how fast false ones fall.

    python tests/benchmarks/bench_falsify.py [--seconds 600] [--only R9(c)] [--seed 0]

Exit status 1 where a true claim is refuted, or a false one is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "analysis"))

from claims_to_refute import FALSE, TRUE


def main() -> int:
    """Runs every claim, or some."""
    import symflow as sf

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=None)
    given = parser.parse_args()
    wrong = 0
    for expected, claims in (("not refuted", TRUE), ("refuted", FALSE)):
        for name, (claim, family) in claims.items():
            if given.only is not None and given.only != name:
                continue
            seconds = given.seconds if expected == "not refuted" else min(given.seconds, 60)
            verdict = sf.falsify(claim, family, seconds=seconds, seed=given.seed)
            wrong += verdict.status != expected
            print(f"{name}: {verdict!r}\n", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
