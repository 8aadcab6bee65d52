"""The elementwise functions by name: a new one is a file with its record, and a line here."""

from symflow.programs.rules.elementwise import FAMILIES, FUNCTIONS
from symflow.programs.rules.functions.arctangent import ATAN
from symflow.programs.rules.functions.error_function import ERF, ERF_SLOPE, NORMAL_CDF, NORMAL_DENSITY
from symflow.programs.rules.functions.exp import EXP
from symflow.programs.rules.functions.log import LOG
from symflow.programs.rules.functions.power import rational_power
from symflow.programs.rules.functions.sigmoid import SIGMOID, SOFTPLUS
from symflow.programs.rules.functions.sine import COS, SIN
from symflow.programs.rules.functions.tanh import TANH

FUNCTIONS.update(
    {
        record.name: record
        for record in (EXP, LOG, SIN, COS, TANH, ATAN, ERF, ERF_SLOPE, SOFTPLUS, SIGMOID, NORMAL_CDF, NORMAL_DENSITY)
    }
)
FAMILIES["power"] = rational_power
