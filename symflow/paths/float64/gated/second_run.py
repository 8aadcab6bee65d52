"""The second run of an error estimate: in another thread, at the same time as the first, where there are two cores.

Half of a run's time is compiled code, during which another thread can use Python.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from symflow.evaluate.threads import thread_count
from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.run import GatedRun, Plan, run_gated
from symflow.paths.float64.methods import x64
from symflow.progress import Progress, Reporter

LOOK = 0.1
"""Seconds between two looks at how far it is."""


class SecondRun:
    """A run that the first is compared with; as a context manager it is ended with the block.

    Attributes:
        plan: what is asked of it.
        share: how much of the work is done when the first run is.
        seconds: how long it took, once it has ended.
    """

    def __init__(self, compiled: Frozen, start: np.ndarray, plan: Plan, wanted: bool) -> None:
        self.compiled, self.start, self.plan = compiled, start, plan
        self.threaded = wanted and thread_count() > 1
        self.share = 1.0 if not wanted else 0.95 if self.threaded else 0.7
        self.ended, self.seconds, self.done = threading.Event(), 0.0, 0.0

    def __enter__(self) -> SecondRun:
        if self.threaded:
            self.pool = ThreadPoolExecutor(1, "symflow-check")
            self.future = self.pool.submit(self._elsewhere)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        if self.threaded:
            self.pool.shutdown()

    def result(self, report: Reporter) -> GatedRun:
        """The run, once it has ended."""
        if not self.threaded:
            return self._run(report)
        try:
            while not wait([self.future], LOOK).done:
                report(self.done)
        except KeyboardInterrupt:
            self.ended.set()
        return self.future.result()

    def _elsewhere(self) -> GatedRun:
        def told(progress: Progress) -> None:
            if self.ended.is_set():
                raise KeyboardInterrupt
            self.done = float(progress)

        with x64():
            return self._run(Reporter.to(told))

    def _run(self, report: Reporter) -> GatedRun:
        clock = time.perf_counter()
        try:
            return run_gated(self.compiled, self.start, self.plan, report)
        finally:
            self.seconds = time.perf_counter() - clock
