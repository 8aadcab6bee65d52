"""The elementwise functions by name: a new one is a file with its record, and a line here."""

from symflow.programs.rules.elementwise import FAMILIES, FUNCTIONS
from symflow.programs.rules.functions.arctangent import ATAN
from symflow.programs.rules.functions.exp import EXP
from symflow.programs.rules.functions.log import LOG
from symflow.programs.rules.functions.power import rational_power
from symflow.programs.rules.functions.sigmoid import SIGMOID, SOFTPLUS
from symflow.programs.rules.functions.sine import COS, SIN

FUNCTIONS.update({record.name: record for record in (EXP, LOG, SIN, COS, ATAN, SOFTPLUS, SIGMOID)})
FAMILIES["power"] = rational_power
