"""How far long work has come, and how long the rest may take: one record, told to functions, bars and lines.

What computes reports fractions to a `Reporter`; the record `Progress` with its estimate of the remaining time is made
in one place (`reporter`), and shown in terminals and notebooks by `bars`.
"""

from symflow.progress.record import Progress as Progress
from symflow.progress.reporter import SILENT as SILENT
from symflow.progress.reporter import Reporter as Reporter
from symflow.progress.reporter import Wanted as Wanted
from symflow.progress.reporter import reporting as reporting
