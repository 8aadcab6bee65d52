"""For all time: where flow and descent converge to, enclosed (R24).

`limit` takes the end of a path as its `start` and tries the cases of R24, one file each (`interpolating`, `linear`,
`isolated`, after the contract in `route`), on balls around it (`boxes`); what it finds is a `Limit` (`record`).
"""

from symflow.analysis.limit.find import limit

__all__ = ["limit"]
