"""What results assume of a network: which layers have biases, what skip connections join, which layers are diagonal.

The checks read the network that the objective is the training loss of, homogeneous or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from symflow.networks.convolutional import Convolutional
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective
from symflow.networks.options import joined_positions
from symflow.numbers.rational import text
from symflow.theory.hypotheses import Check, Hypothesis, Setting, Verdict, fails, holds


def trained(objective: Objective) -> Network | None:
    """The network whose training loss f is; None of other objectives, such as with weight decay."""
    if objective.undecayed is not None or objective.sample_loss is None:
        return objective.network
    return objective.network if objective.architecture is None else objective.architecture


def biased_layers(network: Network) -> tuple[int, ...]:
    """The layers with weights that have a bias, from 1."""
    return tuple(j for j, has in enumerate(network.biased, 1) if has)


def curved_layers(network: Network) -> tuple[int, ...]:
    """The layers with weights whose activation is not homogeneous."""
    return tuple(j for j in range(1, network.depth) if network.sigma.at(j).slopes is None)


def kinds_of(network: Network) -> str:
    """The activations in words, each once: "relu", "relu and tanh"."""
    found = dict.fromkeys(network.sigma.at(j).name for j in range(1, network.depth)) or {network.activation: None}
    return listed(found)


def listed(words: Iterable[object]) -> str:
    """1, 2 and 3."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def _layers(numbers: Sequence[int]) -> str:
    return f"layer{'s' if len(numbers) > 1 else ''} {listed(numbers)}"


def bias_reason(network: Network) -> str | None:
    """Why biases stand against homogeneity; None where there are none."""
    found = biased_layers(network)
    return f"{_layers(found)} {'have biases' if len(found) > 1 else 'has a bias'}" if found else None


def skip_reason(network: Network) -> str | None:
    """Which skip connections there are; None where there are none."""
    return f"there are skip connections {listed(map(list, network.skip))}" if network.skip else None


def curved_reason(network: Network) -> str | None:
    """Which activations are not homogeneous; None where all are."""
    found = curved_layers(network)
    names = listed(dict.fromkeys(network.sigma.at(j).name for j in found)) if found else ""
    return f"the activation {names} of {_layers(found)} is not homogeneous" if found else None


def _diagonal_reason(network: Network) -> str | None:
    return f"{_layers(network.diagonal)} {'are' if len(network.diagonal) > 1 else 'is'} diagonal" if (
        network.diagonal
    ) else None  # fmt: skip


def homogeneity_reason(network: Network) -> str | None:
    """Why h is not positively homogeneous in each layer's weights; None where it is."""
    return bias_reason(network) or skip_reason(network) or curved_reason(network)


def described(network: Network) -> str:
    """A network in words: what it has beyond weights and one activation is named."""
    parts = [f"a {network.kind.replace('-', ' ')} {kinds_of(network)} network"]
    beyond = [bias_reason(network), skip_reason(network), _diagonal_reason(network)]
    if network.output_scale != 1:
        beyond.append(f"the output is scaled by {text(network.output_scale)}")
    named = [x for x in beyond if x]
    return f"{parts[0]}, where {'; '.join(named)}" if named else f"{parts[0]} without biases"


def shortcuts(network: Network) -> tuple[int, ...]:
    """Fully connected layers without activation whose input is added to their output: V_j = W_j + I in place of W_j."""
    if not isinstance(network, FullyConnected):
        return ()
    plain = (
        j
        for j in range(1, network.depth + 1)
        if j == network.depth or network.sigma.at(j).slopes == (Fraction(1), Fraction(1))
    )
    return tuple(j for j in plain if (j - 1, j) in network.skip)


def stream_places(network: Network, skip: Iterable[tuple[int, int]]) -> list[int]:
    """For the input and the output of every layer the first place whose stream it is on; pools pass a stream on."""
    pools = [(p - 1, p) for p in range(1, network.layer_count + 1) if p not in network.layer_numbers]
    return joined_positions(network.layer_count + 1, [*skip, *pools])


def streams(network: Network) -> tuple[tuple[int, ...], ...]:
    """The sets of hidden layers whose outputs skip connections add up, but for those with the input or the output.

    Scaling unit c of all layers of such a set by e^s, and what reads it by e^-s, changes nothing where the activations
    are homogeneous. Layers are those with weights, from 1; pools pass a stream on, and what `shortcuts` says of a skip
    connection around one layer is said by V_j.
    """
    first = stream_places(
        network, [pair for pair in network.skip if pair[1] not in shortcuts(network) or pair[0] + 1 != pair[1]]
    )
    places = {layer: first[number] for layer, number in enumerate(network.layer_numbers, 1)}
    ends = {first[0], first[-1]}
    found: dict[int, list[int]] = {}
    for layer, place in places.items():
        if place not in ends:
            found.setdefault(place, []).append(layer)
    return tuple(map(tuple, found.values()))


def homogeneous_streams(network: Network) -> tuple[tuple[int, ...], ...]:
    """Those whose layers all have homogeneous activations."""
    return tuple(s for s in streams(network) if all(network.sigma.at(j).slopes is not None for j in s))


def linear_streams(network: Network) -> tuple[tuple[int, ...], ...]:
    """Those of fully connected networks whose activations are linear, written and read by whole matrices."""
    if not isinstance(network, FullyConnected):
        return ()
    return tuple(
        s for s in homogeneous_streams(network)
        if all(network.sigma.at(j).smooth and not {j, j + 1} & set(network.diagonal) for j in s)
    )  # fmt: skip


def uncrossed_layers(network: Network) -> tuple[int, ...]:
    """The layers with weights that no skip connection (i, k) passes, i < j <= k."""
    numbers = network.layer_numbers
    return tuple(
        j for j, number in enumerate(numbers, 1) if not any(i < number <= k for i, k in network.skip)
    )  # fmt: skip


# Hypotheses ---------------------------------------------------------------------------------------------------------


def of_network(check: Callable[[Network], Verdict]) -> Check:
    """A check on the network that an objective is the training loss of."""

    def checked(setting: Setting) -> Verdict:
        network = trained(setting.objective)
        if network is None:
            return fails(setting.objective.no_network)
        return check(network)

    return checked


def of_samples(check: Callable[[Network], Verdict]) -> Check:
    """A check on the network that an objective is the training loss over samples of."""
    checked = of_network(check)

    def of_objective(setting: Setting) -> Verdict:
        if setting.objective.matrix_data is not None:
            return fails("the loss is one of matrix data, not a mean over samples of inputs")
        return checked(setting)

    return of_objective


def architecture(text: str, latex: str, check: Callable[[Network], Verdict]) -> Hypothesis:
    """A hypothesis on the network: a statement with it is about every network that it admits."""
    return Hypothesis(text, latex, of_network(check), architecture=True)


def _homogeneous(network: Network) -> Verdict:
    reason = homogeneity_reason(network)
    return holds(described(network)) if reason is None else fails(f"{reason}: no homogeneity in each layer's weights")


def _linear(network: Network) -> Verdict:
    wanted = isinstance(network, FullyConnected) and network.sigma.smooth
    reason = homogeneity_reason(network) if wanted else None
    if reason is not None:
        return fails(f"{reason}: f is not a function of W_n ... W_1")
    if not wanted:
        return fails(f"not a fully connected linear network: {described(network)}")
    beyond = _diagonal_reason(network)
    return holds(f"a linear network of depth {network.depth}" + ("" if beyond is None else f", where {beyond}"))


def _linear_with_biases(network: Network) -> Verdict:
    return _linear(network.with_biases(False)) if not network.skip else _linear(network)


def _of_kind(kind: type[Network], check: Callable[[Network], Verdict]) -> Callable[[Network], Verdict]:
    """A check of networks of one kind; others fail."""

    def checked(network: Network) -> Verdict:
        if not isinstance(network, kind):
            return fails(f"not a {kind.kind.replace('-', ' ')} network: {described(network)}")
        return check(network)

    return checked


def _whole_matrices(network: Network) -> Verdict:
    reason = _diagonal_reason(network)
    return holds("no diagonal layers") if reason is None else fails(f"{reason}: the claim needs whole matrices")


def _homogeneous_activations(network: Network) -> Verdict:
    reason = curved_reason(network)
    return holds(described(network)) if reason is None else fails(reason)


def _no_skip(network: Network) -> Verdict:
    reason = skip_reason(network)
    return holds("no skip connections") if reason is None else fails(f"{reason}: layers do not scale the output")


def _some_uncrossed(network: Network) -> Verdict:
    found = uncrossed_layers(network)
    if not found:
        return fails(f"{skip_reason(network)}: they pass every layer")
    return holds(f"no skip connection passes {_layers(found)}")


def _some_stream(network: Network) -> Verdict:
    found = homogeneous_streams(network)
    if found:
        return holds(f"laws of the hidden units of {_sets(found)}")
    return fails(_without_streams(network))


def _without_streams(network: Network) -> str:
    if network.depth == 1:
        return "the network has no hidden layers"
    if not streams(network):
        return f"{skip_reason(network)}: every hidden layer is joined to the input or to the output"
    return curved_reason(network) or "no hidden layers"


def _some_linear_stream(network: Network) -> Verdict:
    found = linear_streams(network)
    return holds(f"matrix laws of {_sets(found)}") if found else fails("no hidden layer is linear with whole matrices")


def _sets(found: Sequence[Sequence[int]]) -> str:
    return listed(_layers(s) if len(s) == 1 else f"{_layers(s)} together" for s in found)


def _diagonal_chain(network: Network) -> Verdict:
    verdict = _linear(network)
    if verdict.status != "holds":
        return verdict
    full = [j for j in range(1, network.depth + 1) if j not in network.diagonal]
    one = isinstance(network, FullyConnected) and network.widths[-1] == 1 and full == [network.depth]
    if full and not one:
        return fails(f"{_layers(full)} {'are' if len(full) > 1 else 'is'} not diagonal")
    return holds(f"a linear network of depth {network.depth}: {_layers(network.diagonal)} diagonal" if network.diagonal
                 else "one layer with one output")  # fmt: skip


NETWORK = architecture("a homogeneous network", "a homogeneous network without biases and skip connections",
                       _homogeneous)  # fmt: skip
LINEAR = architecture("a deep linear network", r"$f(\theta) = \varphi(W_{n:1})$", _linear)
LINEAR_WITH_BIASES = architecture(
    "a deep linear network, with or without biases", r"$f(\theta) = \varphi(W_{n:1})$ where the biases are 0",
    _linear_with_biases,
)  # fmt: skip
FULLY_CONNECTED = Hypothesis(
    "a fully connected network",
    "a fully connected homogeneous network",
    of_samples(_of_kind(FullyConnected, _homogeneous)),
    architecture=True,
)
CONVOLUTIONAL = architecture(
    "a convolutional network", "a convolutional homogeneous network", _of_kind(Convolutional, _homogeneous)
)
WHOLE_MATRICES = architecture("no diagonal layers", "no diagonal layers", _whole_matrices)
HOMOGENEOUS_ACTIVATIONS = architecture(
    "homogeneous activations", r"every activation homogeneous, $\sigma(cz) = c\,\sigma(z)$ for $c > 0$",
    _homogeneous_activations,
)  # fmt: skip
PIECEWISE_LINEAR = Hypothesis(
    "a fully connected network with homogeneous activations",
    "a fully connected network with homogeneous activations, with or without biases, skip connections and diagonal "
    "layers",
    of_samples(_of_kind(FullyConnected, _homogeneous_activations)),
    architecture=True,
)
NO_SKIP = architecture("no skip connections", "no skip connections", _no_skip)
UNCROSSED = architecture(
    "a layer that no skip connection passes", r"no skip connection $(i, k)$ with $i < j \le k$", _some_uncrossed
)
STREAMS = architecture(
    "a hidden layer that skip connections join neither to the input nor to the output",
    r"$S$ a set of hidden layers that skip connections join, neither to the input nor to the output, all with "
    r"homogeneous activations ($\{j\}$ where there are none)",
    _some_stream,
)
LINEAR_STREAMS = architecture(
    "linear hidden layers with whole matrices", r"$S$ with linear activations and whole matrices", _some_linear_stream
)
DIAGONAL_CHAIN = architecture(
    "a linear network with diagonal layers", r"a linear network whose layers are diagonal, but for the last if "
    r"$d_n = 1$", _diagonal_chain,
)  # fmt: skip
