"""False claims that the falsifier is to refute, and true ones that must survive it, each with a family of problems."""

from __future__ import annotations

import sympy

import symflow as sf

Q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
n = Q["n"]

FALSE = {
    "R9(a) with n-2 in place of n-1": (
        sympy.Ge(Q["lambda_min"], -(n - 2) * Q["grad_phi_F"] * Q["max_product"]),
        sf.Family(depths=(3, 4)),
    ),
    "R4 with its exponential factors replaced by 1": (
        sympy.Le(Q["deviation"], Q["eta"] * Q["beta"] * Q["gamma"] * Q["t"]),
        sf.Family(networks=(sf.FullyConnected((2, 1, 2)),), samples=(2, 2), data=3.0, times=(1, 20)),
    ),
    "balancedness is conserved by descent": (sympy.Le(Q["drift_descent"], 0), sf.Family()),
    "the loss of descent is at most that of flow at equal time": (sympy.Le(Q["f_descent"], Q["f"]), sf.Family()),
    "R13 without the kappas": (
        sympy.Ge(Q["lambda_min"], -(Q["slope"] ** (n - 1)) * Q["pool"] * Q["errors"] * Q["lambda_M"]),
        sf.Family(kinds=("convolutional",), activations=("linear", "relu")),
    ),
}

_GATED = sf.Family(depths=(2, 3), activations=("relu", "leaky-relu"), losses=("square", "logistic", "cross-entropy"))
TRUE = {
    **{
        f"R9({rung})": (
            sympy.Ge(Q["lambda_min"], Q[f"R9({rung})"]),
            sf.Family(depths=(2, 3, 4), losses=("square", "logistic", "cross-entropy")),
        )
        for rung in "abcde"
    },
    **{name: (sympy.Ge(Q["lambda_min"], Q[name]), _GATED) for name in ("R12", "R12(c)", "R12(e)")},
    **{
        name: (
            sympy.Ge(Q["lambda_min"], Q[name]),
            sf.Family(kinds=("convolutional",), activations=("linear", "relu"), losses=("square", "cross-entropy")),
        )
        for name in ("R13", "R13(kappa)")
    },
    "R10 for flow": (sympy.Le(Q["drift"], 0), sf.Family(activations=("linear", "relu"))),
}
