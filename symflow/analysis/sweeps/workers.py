"""What the processes of the local pool begin with.

It imports nothing heavy: numerical libraries read the environment when they are imported.
"""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import Connection

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
}
"""There are as many processes as cores, and their float64 work is small. A setting of the user's own is left alone."""


def prepare(leash: Connection) -> None:
    """Sets a worker up: one thread, deaf to Ctrl-C (which the client handles), and gone when the client is gone.

    Args:
        leash: the reading end of a pipe whose writing end only the client holds; it ends with the client, however
            that ends. Python's own pool leaves its processes waiting for ever when the client is killed.
    """
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(leash,), daemon=True).start()


def _leave_with(leash: Connection) -> None:
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)
