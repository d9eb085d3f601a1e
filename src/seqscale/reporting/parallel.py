"""What the counted laws say of P processors: the values that page, figures and files share.

    T_P lies between max(W/P, S) and W/P + S

for work W [flop] and span S [steps]: the upper bound is Brent's (J. ACM 21(2), 1974), the lower one is that neither the
work nor the longest chain can be shortened. W and S come from the counts of each layer as exact laws in T; S is the
ideal span, each kernel at its logarithmic depth, so that both are in the same steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seqscale.fit.law import ExactLaw
from seqscale.fit.processors import Bounds, Model
from seqscale.reporting.model import Page, layer_names
from seqscale.verdicts.counts import CountLaws, count_laws, laws_of

CROSSOVER = "parallel.crossover-on-p-processors"
QUANTITIES = ("work", "ideal_span", "kernel_span")
LARGEST = 2**20  # tokens
PER_OCTAVE = 8
PROCESSORS = tuple(2**k for k in range(17))  # what the slider can choose, 1 to 65,536
DEFAULT = 1024  # the kata's own
KATA_LENGTHS = (64, 256, 1024, 4096)  # the lengths of the kata's table for 1,024 cores


def grid(per_octave: int = PER_OCTAVE) -> tuple[int, ...]:
    """Return the lengths at which laws are evaluated: whole, rising, from 1 to 2^20 tokens."""
    steps = per_octave * (LARGEST.bit_length() - 1)
    return tuple(sorted({round(2 ** (k / per_octave)) for k in range(steps + 1)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A layer computed by one algorithm, its counts as laws in T.

    Attributes:
        name, layer: "gru/library" and the display name "gru".
        algorithm, default: the algorithm, and whether it is the one that the layer names first.
        attention: whether the layer is of the attention family.
        width, batch: where the laws hold.
        laws: quantity (of QUANTITIES) -> its law, where one verifies.
        points: quantity -> the (T, count) pairs that were counted.
        uncounted: why work and spans are not whole; None where every operator has a law.
    """

    name: str
    layer: str
    algorithm: str
    default: bool
    attention: bool
    width: int
    batch: int
    laws: Mapping[str, ExactLaw]
    points: Mapping[str, tuple[tuple[int, float], ...]]
    uncounted: str | None

    @property
    def missing(self) -> str | None:
        """Why nothing can be said of P processors; None where work and span have laws."""
        if self.uncounted is not None:
            return self.uncounted
        without = [name.replace("_", " ") for name in ("work", "ideal_span") if name not in self.laws]
        return f"no exact law verifies for its {' and '.join(without)}" if without else None

    def value(self, quantity: str, length: int) -> float:
        """Return what the law of `quantity` says at `length` tokens."""
        return float(self.laws[quantity].value(T=length))

    @property
    def reach(self) -> tuple[int, int]:
        """Smallest and largest length that both the law of work and that of span reproduce; else extrapolated."""
        ends = [self.laws[name].reach("T") for name in ("work", "ideal_span")]
        return max(low for low, _ in ends), min(high for _, high in ends)

    @property
    def model(self) -> Model:
        """Work and span as one model, for bounds and crossings on P processors."""
        return Model(self.name, self.laws["work"], self.laws["ideal_span"])

    def bounds(self, length: int, processors: int) -> Bounds:
        """Return between what T_P must lie [steps]."""
        return self.model.bounds(length, processors)


def counted(page: Page) -> tuple[Counted, ...]:
    """Return every layer and algorithm counted, at the smallest width asked: attention last, defaults first."""
    asked = [q for q in page.questions if q.claim.startswith("parallel.")]
    width = min((q.scope.width for q in asked), default=0)
    names = layer_names(page)
    found: dict[str, Counted] = {}
    for question in (q for q in asked if q.scope.width == width):
        layer = question.layer
        for algorithm in layer.algorithms:
            name = f"{names[layer.name]}/{algorithm}"
            laws = count_laws(question, page.table, algorithm) if name not in found else None
            if laws is not None:
                default = algorithm == layer.algorithms[0]
                found[name] = _counted(laws, name, default=default, attention=layer.family == "attention")
        if question.claim == CROSSOVER and not any(c.attention for c in found.values()):
            # Attention need not be among the layers asked: the claim counts it as the rival of each.
            cells = page.claims[CROSSOVER].requires(question)
            rows = page.table.rows_of(cell for cell in cells if cell.layer != layer.name)
            name = next(f"{row.cell.layer}/{row.cell.algorithm}" for row in rows)
            laws = laws_of(name, rows)
            if laws is not None:
                found[name] = _counted(laws, name, default=True, attention=True)
    return tuple(sorted(found.values(), key=lambda c: (c.attention, not c.default)))


def _counted(found: CountLaws, name: str, *, default: bool, attention: bool) -> Counted:
    laws = {key: found.law(key) for key in QUANTITIES}
    layer, _, algorithm = name.rpartition("/")
    cell = found.rows[0].cell
    return Counted(
        name=name,
        layer=layer,
        algorithm=algorithm,
        default=default,
        attention=attention,
        width=cell.width,
        batch=cell.batch,
        laws={key: law for key, law in laws.items() if law is not None},
        points={
            key: tuple((row.cell.length, row.observations[key].value) for row in found.rows if key in row.observations)
            for key in QUANTITIES
        },
        uncounted=found.uncounted,
    )


def coloured(page: Page, found: Iterable[Counted]) -> tuple[str, ...]:
    """Return the layers' display names in the order of their colours: those asked, then attention if it was not."""
    return tuple(dict.fromkeys((*layer_names(page).values(), *(c.layer for c in found))))


def attention_of(found: Iterable[Counted]) -> Counted | None:
    """Return the attention that the others are compared with: the first, its default algorithm if that has laws."""
    return next((c for c in found if c.attention and c.missing is None), None)


@dataclass(frozen=True, slots=True)
class KataRow:
    """One line of the kata's table for 1,024 cores: a recurrent step a token, and T*T // cores + 1 of attention."""

    length: int
    recurrence: int
    attention: int

    @property
    def factor(self) -> float:
        """Recurrent steps over attention steps: below 1, attention takes longer."""
        return self.recurrence / self.attention


def kata_rows() -> tuple[KataRow, ...]:
    """Return the kata's own table."""
    return tuple(KataRow(n, n, n * n // DEFAULT + 1) for n in KATA_LENGTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The kernels of a short sequence, read off the operation graph.

    Attributes:
        name: "gru/library".
        attention: whether the layer is of the attention family.
        length: tokens.
        kernels: (operator, work in flop, ideal depth in steps, kernels it waits for), in order of execution.
    """

    name: str
    attention: bool
    length: int
    kernels: tuple[tuple[str, int, int, tuple[int, ...]], ...]


def schedules(page: Page) -> tuple[Schedule, ...]:
    """Return the schedules that the page's table holds, in the order of its rows."""
    names = layer_names(page)
    families = {q.layer.name: q.layer.family for q in page.questions}
    found = []
    for row in page.table:
        if row.cell.probe != "schedule" or row.document is None or row.cell.layer not in names:
            continue
        kernels = tuple((name, work, depth, tuple(waits)) for name, work, depth, waits in _kernels(row.document))
        name = f"{names[row.cell.layer]}/{row.cell.algorithm}"
        attention = families[row.cell.layer] == "attention"
        found.append(Schedule(name=name, attention=attention, length=row.cell.length, kernels=kernels))
    return tuple(found)


def _kernels(document: str) -> list[tuple[str, int, int, list[int]]]:
    kernels: list[tuple[str, int, int, list[int]]] = json.loads(document)["kernels"]
    return kernels
