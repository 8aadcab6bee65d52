"""The record that everything else starts from: objective, initial weights, horizon, step size, digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from symflow.displays import displayed, listing
from symflow.dynamics.method import Method
from symflow.dynamics.methods import GradientDescent
from symflow.errors import ProblemError, brief
from symflow.networks.batches import sample_count
from symflow.networks.compact import compact
from symflow.networks.convolutional import Convolutional
from symflow.networks.losses import SQUARE, Loss
from symflow.networks.matrix_data import MatrixData
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective
from symflow.networks.sensing import objective_of
from symflow.networks.training_loss import network_objective
from symflow.numbers.rational import rational_array, text
from symflow.numbers.types import JsonObject, Number
from symflow.problem.architecture import architecture, called, loss_of, loss_table, network_table
from symflow.problem.data import Ends, of_bunch, samples
from symflow.problem.descent import PLAIN, descent_table, method_of
from symflow.problem.initialize import initial_theta
from symflow.problem.matrices import matrix_data_of
from symflow.problem.scaling import Scaling
from symflow.problem.schema import InitSection, RunSection, parse, parse_descent, parse_run


@displayed
@dataclass(frozen=True, init=False, eq=False, repr=False)
class Problem:
    """theta' = -grad f(theta), theta(0) = theta0, and descent with the same start.

    ``Problem(network=..., data=..., init=...)`` takes the tables of a problem file as dictionaries, with arrays where
    the file has lists; ``network`` and ``loss`` may also be the records themselves (``FullyConnected``,
    ``Convolutional``, ``Loss``), the loss its kind alone ("logistic") and ``descent`` a `Method`. Inputs or targets of
    one number per sample may be a flat list or array; arrays may be those of NumPy, JAX, PyTorch or pandas, and
    ``data`` a Bunch of scikit-learn (integer targets are labels).
    ``Problem(objective=..., theta0=...)`` takes any smooth function instead of a network.
    In both a Python float in an array of data or weights means its binary value, and as a single setting (horizon,
    step size, slope, scale) its shortest decimal: 0.01 is 1/100. Text, ``Fraction``, ``Decimal``, SymPy numbers and
    ``mpf`` have their own value.

    Attributes:
        objective: f, symbolic.
        theta0: the P initial parameters, layer 1 first, each matrix row-major; exact `Fraction`s.
        horizon: where the flow ends, a `Fraction`, or None if not given.
        step_size: the step size eta of descent, a `Fraction`, or None if not given.
        dps: decimal digits to work with.
        method: of descent, with its weight decay and batches; gradient descent over all samples if not given.
        name: a name for people, or None.
        network: the architecture; None for a stand-alone objective.
        x: inputs, (N, d_0) read-only object array of `Fraction`; None for matrix data and a stand-alone objective.
        y: targets, (N, d_n) read-only object array of `Fraction`; None where x is.
        drawn: the scheme, scale and seed that theta0 was drawn with; None where it was given.
        scaling: how x was standardized or whitened, for `dps` digits; None where x was used as given.

    Raises:
        ProblemError: on construction, one line: where, the rule, the value received, the remedy.

    Example:
        >>> network = {"widths": [2, 3, 1], "activation": "relu"}
        >>> problem = sf.Problem(network=network, data={"x": [[1, 0], [0.5, 1]], "y": [1, -1]},
        ...                      init={"scheme": "xavier", "seed": 1}, run={"horizon": 4, "step_size": 0.01, "dps": 30})
        >>> problem
        Problem(fully-connected 2-3-1 relu, square loss, N=2, P=9, horizon=4, step_size=1/100, dps=30)
        >>> problem.step_size, problem.x[1, 0], len(problem.theta0)
        (Fraction(1, 100), Fraction(1, 2), 9)
    """

    objective: Objective
    theta0: tuple[Fraction, ...]
    horizon: Fraction | None
    step_size: Fraction | None
    dps: int
    method: Method
    name: str | None
    network: Network | None
    x: np.ndarray | None
    y: np.ndarray | None
    drawn: InitSection | None
    scaling: Scaling | None

    def __init__(
        self,
        *tables: object,
        network: Mapping[str, object] | Network | None = None,
        data: Mapping[str, object] | None = None,
        init: Mapping[str, object] | None = None,
        loss: Mapping[str, object] | Loss | str | None = None,
        run: Mapping[str, object] | None = None,
        descent: Mapping[str, object] | Method | None = None,
        name: str | None = None,
        objective: Objective | None = None,
        theta0: Sequence[Number] | None = None,
        horizon: Number | None = None,
        step_size: Number | None = None,
        dps: int | None = None,
    ) -> None:
        if tables:
            said = f"Problem: tables are given by name, such as Problem(network=..., data=...), got {brief(tables[0])}"
            raise ProblemError(f"{said}; a file is read by sf.load_problem(path)")
        if isinstance(network, FullyConnected | Convolutional):
            network = network_table(network)
        if isinstance(loss, Loss):
            loss = loss_table(loss)
        sections: dict[str, object] = {
            "network": network,
            "data": of_bunch(data),
            "init": init,
            "loss": loss,
            "run": run,
        }
        record = descent if isinstance(descent, Method) else None
        if record is None:
            sections["descent"] = descent
        sections_given: dict[str, Any] = {key: table for key, table in sections.items() if table is not None}
        alone = {"theta0": theta0, "horizon": horizon, "step_size": step_size, "dps": dps}
        given = [key for key, value in alone.items() if value is not None]
        if objective is None:
            if given:
                place = {"theta0": 'init={"theta": ...}'}.get(given[0], f'run={{"{given[0]}": ...}}')
                raise ProblemError(f"Problem: {given[0]} goes with objective; next to network write {place}")
            if name is not None:
                sections_given["name"] = name
            fields = resolve(sections_given, "Problem", Path())
            self._set(**(fields if record is None else fields | {"method": record}))
            return
        table = sections_given.pop("descent", None)
        if sections_given:
            raise ProblemError(
                f"Problem: must have either objective or network, got objective and {next(iter(sections_given))}"
            )
        method = record or method_of(None if table is None else parse_descent(table, "Problem"), "Problem")
        self._set(method=method, **_stand_alone(objective, {key: alone[key] for key in given}, name))

    @classmethod
    def from_mapping(cls, tables: Mapping[str, object], source: str, folder: Path, name: str | None = None) -> Problem:
        """The problem that a parsed file holds.

        Args:
            tables: the file's content.
            source: the file's name, the start of every error message.
            folder: what a relative ``data.file`` is relative to.
            name: the name where the file gives none.

        Raises:
            ProblemError: see the class.
        """
        problem = object.__new__(cls)
        fields = resolve(tables, source, folder)
        problem._set(**(fields | {"name": fields["name"] or name}))
        return problem

    @classmethod
    def from_weights(
        cls,
        weights: object,
        data: Mapping[str, object],
        activation: Any = None,
        *,
        network: Network | None = None,
        input: Sequence[int] | None = None,
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | None = None,
        **tables: Any,
    ) -> Problem:
        """The problem whose theta(0) are weights from PyTorch, Flax, Equinox or NumPy, each with its binary value.

        Widths, biases and the shapes of convolutions are inferred. What weights do not say must be given: the
        activation and, for convolutions, the extents of the input, stride and padding (one for all of them). Pools,
        skip connections, diagonal layers and an output scale are given with the architecture, as `network`.

        Args:
            weights: a state dict or module of PyTorch, ``{"0.weight": ..., "0.bias": ...}``, layers in the order of its
                keys; a pytree of Flax, ``{"params": {"Dense_0": {"kernel": ..., "bias": ...}}}``, whose kernels have
                their outputs last and whose images their channels last; a module of Equinox; or a list of arrays
                [W_1, b_1, W_2, ...] (biases where there are any) or of pairs, matrices with their outputs first. The
                names alone say which: a square matrix in a list is not transposed.
            data: the [data] table: `x` and `y` or `labels`; or a Bunch of scikit-learn. Images are rows, channel by
                channel: ``images.reshape(N, -1)`` in PyTorch's layout.
            activation: such as "relu" or ("leaky-relu", "1/100"); not with `network`.
            network: the architecture, which the weights must fit.
            input: (channels, length) or (channels, height, width), for convolutions.
            stride: of the convolutions.
            padding: of the convolutions.
            tables: `loss`, `run`, `descent` and `name`, as for `Problem`.

        Raises:
            ProblemError: see above, each with what is missing or does not fit.

        Example:
            >>> import numpy as np
            >>> weights = {"0.weight": np.float32([[0.5, 1], [0.1, 2]]), "2.weight": np.float32([[1, -1]])}
            >>> data = {"x": [[1, 0], [0, 1]], "y": [1, -1]}
            >>> problem = sf.Problem.from_weights(weights, data, activation="relu", run={"horizon": 1})
            >>> problem.network.widths, problem.theta0[2] == np.float32(0.1).item()
            ((2, 2, 1), True)
            >>> [w.shape for w in sf.solve_flow(problem, dps=15).weights(1)]  # the way back
            [(2, 2), (1, 2)]
        """
        from symflow.problem.from_weights import network_and_theta

        geometry = {"input": input, "stride": stride, "padding": padding}
        found, theta = network_and_theta(weights, activation, network, geometry)
        return cls(network=found, data=data, init={"theta": theta}, **tables)

    def _set(self, **fields: object) -> None:
        for key, value in fields.items():
            object.__setattr__(self, key, value)
        listing(self, "theta0")
        if self.method.batches is not None:
            self.method.batches.check(sample_count(self.objective))

    @property
    def compact(self) -> Objective:
        """The equivalent form of the objective that is cheapest to evaluate; found once, and kept by the objective."""
        return compact(self.objective)

    @property
    def matrix_data(self) -> MatrixData | None:
        """What the end-to-end matrix of a linear network is compared with, where the data are no samples."""
        return self.objective.matrix_data

    def replace(
        self, *, theta0: Sequence[Number] | None = None, method: Method | None = None, **run: object
    ) -> Problem:
        """The same objective (with all that was compiled for it), from another start or with other settings.

        Where the inputs were standardized or whitened, another ``dps`` makes another objective, whose inputs are right
        to those digits.

        Args:
            theta0: P numbers, shape (P,); the problem's own if left out.
            method: of descent; the problem's own if left out.
            run: `horizon`, `step_size`, `dps`; the problem's own if left out.

        Returns:
            A new `Problem`.

        Raises:
            ProblemError: an entry that is not a number, or not P of them.
        """
        kept = {"horizon": self.horizon, "step_size": self.step_size, "dps": self.dps}
        start = self.theta0 if theta0 is None else theta0
        changed = _stand_alone(self.objective, {"theta0": start} | kept | run, self.name)
        drawn = self.drawn if theta0 is None else None
        fields: dict[str, object] = {"network": self.network, "x": self.x, "y": self.y, "scaling": self.scaling}
        fields |= {"drawn": drawn, "method": method or self.method}
        problem = object.__new__(type(self))
        problem._set(**(changed | fields | self._rescaled(changed["dps"])))
        return problem

    def _rescaled(self, dps: int) -> dict[str, Any]:
        """The attributes that depend on the digits of the inputs, for other digits; none where nothing changes."""
        if self.scaling is None or self.network is None or dps == self.dps:
            return {}
        x = self.scaling.scaled(dps, "Problem: data")
        return {"x": x, "objective": network_objective(self.network, x, self.y, self.objective.sample_loss or SQUARE)}

    def for_digits(self, dps: int) -> Problem:
        """The problem for a run with `digits` digits.

        That is the problem itself, unless its inputs were standardized or whitened for fewer digits: what is computed
        from them cannot be right to more digits than they are.

        Args:
            dps: decimal digits of the run.
        """
        return self if self.scaling is None or dps <= self.dps else self.replace(dps=dps)

    def __reduce__(self) -> str | tuple[object, ...]:
        """Pickled as its tables: shared caches and read-only views of the program do not travel."""
        if self.network is None:
            return super().__reduce__()
        return _rebuild, (self.replace(method=GradientDescent()).to_dict(), self.method)

    def __repr__(self) -> str:
        if self.network is None:
            parts = ["stand-alone objective"]
        else:
            parts = [called(self.network)]
            parts.append(f"{(self.objective.sample_loss or SQUARE).kind} loss")
            data = self.matrix_data
            samples_given = f"N={0 if self.x is None else len(self.x)}"
            parts.append(samples_given if data is None else f"{data.kind} of m={data.count}")
        parts.append(f"P={len(self.theta0)}")
        parts += [
            f"{key}={brief(value)}" for key in ("horizon", "step_size") if (value := getattr(self, key)) is not None
        ]
        parts.append(f"dps={self.dps}")
        if self.method != GradientDescent():
            parts.append(self.method.called)
        return f"Problem({'' if self.name is None else brief(self.name) + ': '}{', '.join(parts)})"

    def to_dict(self) -> JsonObject:
        """The problem in the shape of a problem file, every number an exact rational text.

        Data are written inline (before they are standardized or whitened) and theta(0) is given, so
        ``Problem(**problem.to_dict())`` and a JSON file of it are the same problem, without any other file or random
        draw.

        Raises:
            ProblemError: the problem is a stand-alone objective, or its method is one of your own: for these there is
                no file.
        """
        if self.network is None:
            raise ProblemError("Problem: only a network's problem has a file form, got a stand-alone objective")
        run: JsonObject = {
            key: text(value) for key in ("horizon", "step_size") if (value := getattr(self, key)) is not None
        }
        tables: JsonObject = {} if self.name is None else {"name": self.name}
        descent = descent_table(self.method)
        return tables | {
            "network": network_table(self.network),
            "loss": loss_table(self.objective.sample_loss or SQUARE),
            "data": self._data_table(),
            "init": {"theta": [text(value) for value in self.theta0]},
            "run": run | {"dps": self.dps},
            **({} if descent == {"method": PLAIN} else {"descent": descent}),
        }

    def _data_table(self) -> JsonObject:
        if self.matrix_data is not None:
            return self.matrix_data.table()
        x = self.x if self.scaling is None else self.scaling.inputs
        assert x is not None
        assert self.y is not None
        table: JsonObject = {key: [[text(v) for v in row] for row in a] for key, a in (("x", x), ("y", self.y))}
        for key in ("standardize", "whiten"):
            if getattr(self.scaling, key, False):
                table[key] = True
        return table


def _rebuild(tables: JsonObject, method: Method) -> Problem:
    return Problem(**tables, descent=method)


def resolve(tables: Mapping[str, object], source: str, folder: Path) -> dict[str, Any]:
    """The attributes of the ``Problem`` that the tables of a file mean.

    Raises:
        ProblemError: one line: file, key, the rule, the value received.
    """
    parsed = parse(tables, source)
    network = architecture(parsed.network, source)
    loss = loss_of(parsed.loss, source)
    matrices = matrix_data_of(parsed.data, network, loss.kind, source, folder)
    if matrices is not None:
        read: dict[str, Any] = {"objective": objective_of(network, matrices)} | dict.fromkeys(("x", "y", "scaling"))
    else:
        x, y, scaling = samples(parsed.data, Ends.of(network, loss), parsed.run.dps, source, folder)
        where = "data.targets" if parsed.data.targets is not None else "data.y"
        loss.known.check_targets(y, f"{source}: {where}")
        read = {"objective": network_objective(network, x, y, loss), "x": x, "y": y, "scaling": scaling}
    return read | {
        "theta0": initial_theta(parsed.init, network, source),
        "network": network,
        "name": parsed.name,
        "drawn": None if parsed.init.scheme is None else parsed.init,
        "method": method_of(parsed.descent, source),
        **_run_fields(parsed.run),
    }


def _stand_alone(objective: object, given: dict[str, Any], name: str | None) -> dict[str, Any]:
    if not isinstance(objective, Objective):
        raise ProblemError(f"Problem: objective must be an Objective, got {brief(objective)}")
    if name is not None and not isinstance(name, str):
        raise ProblemError(f"Problem: name must be text, got {brief(name)}")
    if "theta0" not in given:
        raise ProblemError("Problem: theta0 is missing; a stand-alone objective needs its initial parameters")
    theta0 = tuple(rational_array(given.pop("theta0"), "Problem: theta0", ndim=1))
    count = objective.parameter_count
    if len(theta0) != count:
        raise ProblemError(f"Problem: theta0 must have the {count} parameters of the objective, got {len(theta0)}")
    absent = dict.fromkeys(("network", "x", "y", "drawn", "scaling"))
    fields = {"objective": objective, "theta0": theta0, "name": name} | absent
    return fields | _run_fields(parse_run(given, "Problem"))


def _run_fields(run: RunSection) -> dict[str, Any]:
    return {"horizon": run.horizon, "step_size": run.step_size, "dps": run.dps}
