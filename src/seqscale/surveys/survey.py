"""The laws of one layer in one mode: counts at small sizes, solved, and held out where they were not looked at.

counts at SHORT lengths  ->  law in T  ->  a prime above 512, then as long as time allows  ->  printed, or not
counts at small sizes    ->  law in B, T, d (and h)  ->  tried on every count there is      ->  printed, or not
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from seqscale.errors import UnsupportedError
from seqscale.fit.exact import ExactLaw, exact_law, extended, late_law
from seqscale.fit.points import Points
from seqscale.fit.power import PowerFit, fit_power
from seqscale.rows import Observation, Sample
from seqscale.surveys.counting import Counter, Size, Subject
from seqscale.surveys.sizes import BOUNDARIES, HELD_OUT, SHORT, SHORT_HELD_OUT, at_length, over_sizes
from seqscale.tracing.stop import UntraceableError
from seqscale.tracing.watch import Counts, OperatorCounts, TooLongError

COUNTED = ("work", "traffic_bytes", "kernels", "kernel_span", "ideal_span", "saved_bytes", "predicted_peak_bytes")
NEED_LAWS_OF_OPERATORS = ("work", "traffic_bytes", "kernel_span", "ideal_span")
FEWEST = 8  # lengths that are counted whatever they cost
SHORT_S, BOUNDARY_S = 2.5, 1.5  # seconds for short lengths, and for chunk boundaries
ONE_S, ASKED_S = 5.0, 0.3  # seconds for one long trace, and for one that is asked for though no law needs it
CHEAP_S = 0.5  # seconds that need no reason
EXECUTED_LENGTHS = (1, 2, 3, 5, 8, 13, 16, 31, 64)
SEEDS = (0, 1)
COMPARED_AT = 8  # the length at which two algorithms of one layer are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What is known of one quantity.

    Attributes:
        quantity: its name.
        over_length: the exact law in T at the asked batch and width; None where none verifies.
        over_sizes: the exact law in T, d and h at the asked batch; None where none verifies.
        over_batches: the exact law in B besides; None where none verifies.
        from_batch: the smallest batch that `over_batches` holds for: a batch of 1 may take a path of its own.
        fitted: a power law through the counts, where there is no exact law and something to fit.
    """

    quantity: str
    over_length: ExactLaw | None
    over_sizes: ExactLaw | None
    over_batches: ExactLaw | None
    from_batch: int
    fitted: PowerFit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the algorithm does otherwise than `reference`, at one length.

    Attributes:
        length: where both were counted.
        work, reference_work: in all [flop].
        operators: (name, kernels more, work more) for every operator in which they differ, largest difference first.
    """

    length: int
    work: int
    reference_work: int
    operators: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The laws of one layer, computed by one algorithm, in one mode.

    Attributes:
        layer, algorithm, mode, dtype: what was asked.
        asked: the sizes, at the longest asked length.
        lengths: the asked lengths.
        laws: quantity -> law; without the quantities that operators without a law make a lower bound of.
        counts: what was counted at the asked batch and width, lengths rising.
        unknown_operators: operators without a law.
        difference: from the algorithm `reference`, where there is one and it is another.
        executed: why the counts come from real runs; None: nothing was executed.
        notes: what else a reader must know.
        seconds: what it took.
    """

    layer: str
    algorithm: str
    mode: str
    dtype: str
    asked: Size
    lengths: tuple[int, ...]
    laws: Mapping[str, Law]
    counts: Mapping[int, Counts]
    unknown_operators: tuple[str, ...]
    difference: Difference | None
    executed: str | None
    notes: tuple[str, ...]
    seconds: float

    @property
    def lawful(self) -> bool:
        """Whether the counts follow from the sizes: not where two inputs of one size gave different ones."""
        return bool(self.laws)

    def value(self, quantity: str, length: int) -> tuple[int | float, str] | None:
        """Return a quantity at `length` and how it is known: "counted", "law", or "extrapolated"; None: not known."""
        law = self.laws.get(quantity)
        if length in self.counts and (law is not None or not self.lawful):
            return getattr(self.counts[length], quantity), "counted"
        if law is None or law.over_length is None:
            return None
        value = law.over_length.value(T=length)
        return (value if isinstance(value, int) else float(value)), (
            "extrapolated" if law.over_length.extrapolates(T=length) else "law"
        )

    def heaviest(self, share: Callable[[OperatorCounts], int]) -> list[tuple[str, float]]:
        """Return operators and their shares of a total, largest first, at the longest counted length."""
        operators = self.counts[max(self.counts)].operators
        total = sum(share(o) for o in operators)
        ranked = sorted(((o.name, share(o) / total) for o in operators if share(o)), key=lambda pair: -pair[1])
        return ranked if total else []


def survey(
    subject: Subject, mode: str, asked: Size, lengths: Sequence[int], reference: Subject | None = None
) -> Survey:
    """Count `subject` at the sizes that laws need, and at the asked lengths where that is cheap; solve the laws.

    A module that cannot be traced is counted on real runs at short lengths; where two inputs give different counts
    there is no law. `reference` is the same layer by its algorithm of that name, to be compared with.

    Raises:
        UnsupportedError: mode decode of a layer that has no step, or sizes that nothing is known of.
    """
    start = time.perf_counter()
    counter = Counter(subject, mode)
    try:
        counter.at(at_length(asked, SHORT[2]))
    except UntraceableError as error:
        return _executed(counter, mode, asked, lengths, str(error), start)
    notes = _count_lengths(counter, asked)
    # chunks show in the number of kernels or in the work: where both have a law, another length will seldom find what
    # is missing
    found = (_law(counter, asked, _at_asked(counter, asked), name, over=False) for name in ("kernels", "work"))
    _while_cheap(counter, asked, BOUNDARIES, BOUNDARY_S if any(f.over_length is None for f in found) else CHEAP_S)
    for length in lengths:
        if _forecast(counter, asked, length) < ASKED_S:
            _try(counter, at_length(asked, length), ONE_S)
    notes += _count_sizes(counter, subject, asked)
    against = None if reference is None else _difference(counter, Counter(reference, mode), asked)
    return _finished(counter, mode, asked, lengths, _laws(counter, asked, over=True), against, None, notes, start)


def _count_lengths(counter: Counter, asked: Size) -> tuple[str, ...]:
    """Count short lengths, then held-out ones as long as each takes ONE_S at the most."""
    _while_cheap(counter, asked, SHORT, SHORT_S)
    for length, longer in zip(HELD_OUT, (*HELD_OUT[1:], HELD_OUT[-1] + 1), strict=True):
        if _forecast(counter, asked, length) > ONE_S:
            break
        if length != HELD_OUT[0] and CHEAP_S < _forecast(counter, asked, longer) < ONE_S:
            continue  # it would only take the time of the longer one
        stopped = _try(counter, at_length(asked, length), ONE_S)
        if isinstance(stopped, TooLongError):
            break
        if stopped is not None:
            return (f"T = {length:,}: {stopped}",)
    if HELD_OUT[0] not in _at_asked(counter, asked):
        _while_cheap(counter, asked, SHORT_HELD_OUT, ONE_S)
    return ()


def _while_cheap(counter: Counter, asked: Size, lengths: Iterable[int], budget_s: float) -> None:
    """Count at rising lengths until `budget_s` is spent; up to FEWEST lengths whatever they cost."""
    start = time.perf_counter()
    for length in lengths:
        left_s = budget_s - (time.perf_counter() - start)
        if len(_at_asked(counter, asked)) >= FEWEST and _forecast(counter, asked, length) > left_s:
            return
        _try(counter, at_length(asked, length), ONE_S)


def _forecast(counter: Counter, asked: Size, length: int) -> float:
    """Return the seconds that a trace of `length` will take: as many per kernel as the longest one so far took."""
    seen = _at_asked(counter, asked)
    (short, few), (long, many) = ((t, seen[t].kernels) for t in (min(seen), max(seen)))
    kernels = many if many == few else many * (length / long) ** (1 if many < few * (long / short) ** 1.5 else 2)
    return counter.seconds[at_length(asked, long)] * kernels / max(1, many)


def _try(counter: Counter, size: Size, limit_s: float) -> UnsupportedError | None:
    """Count at `size` if it can be; return what stood in the way."""
    try:
        counter.at(size, limit_s)
    except UnsupportedError as error:
        return error
    return None


def _count_sizes(counter: Counter, subject: Subject, asked: Size) -> tuple[str, ...]:
    """Count at other batches and widths; say which the layer refuses."""
    refused: dict[str, int] = {}
    for size in over_sizes(subject, asked):
        try:
            counter.at(size)
        except Exception as error:  # a layer may refuse a width in any way
            refused.setdefault(f"{type(error).__name__}: {error}".splitlines()[0], size.width)
    return tuple(f"no law over width {width}: {said}" for said, width in refused.items())


def _at_asked(counter: Counter, asked: Size) -> dict[int, Counts]:
    """Return length -> counts at the asked batch and width."""
    same = {size.length: c for size, c in counter.counts.items() if at_length(asked, size.length) == size}
    return dict(sorted(same.items()))


def _laws(counter: Counter, asked: Size, *, over: bool) -> dict[str, Law]:
    """Solve every quantity's law in T, and where `over` the one over all sizes."""
    counts = _at_asked(counter, asked)
    unknown = any(c.unknown_operators for c in counts.values())
    sizes_known = not any(c.unknown_sizes for c in counts.values())
    names = [n for n in COUNTED if not (unknown and n in NEED_LAWS_OF_OPERATORS)]
    names = [n for n in names if sizes_known or n not in ("saved_bytes", "predicted_peak_bytes", "traffic_bytes")]
    return {name: _law(counter, asked, counts, name, over=over) for name in names}


def _law(counter: Counter, asked: Size, counts: Mapping[int, Counts], quantity: str, *, over: bool) -> Law:
    in_length = [({"T": t}, getattr(c, quantity)) for t, c in counts.items()]
    own = exact_law(in_length) or late_law(in_length)
    over_sizes = over_batches = fitted = None
    from_batch = 1
    if over and own is not None:
        samples = [(size.dims, getattr(c, quantity)) for size, c in counter.counts.items()]
        over_sizes = exact_law([(d, v) for d, v in samples if d["B"] == asked.batch])
        if over_sizes is not None:
            over_batches = extended(samples, over_sizes, "B")
        if over_sizes is not None and over_batches is None:
            over_batches, from_batch = extended([(d, v) for d, v in samples if d["B"] > 1], over_sizes, "B"), 2
    if over and own is None and all(getattr(c, quantity) > 0 for c in counts.values()):
        fitted = fit_power(_points(counts, quantity))
    return Law(
        quantity=quantity, over_length=own, over_sizes=over_sizes, over_batches=over_batches, from_batch=from_batch,
        fitted=fitted,
    )  # fmt: skip


def _points(counts: Mapping[int, Counts], quantity: str) -> Points:
    long = {t: c for t, c in counts.items() if t >= SHORT[FEWEST - 1]} or counts
    return Points.of(
        (t, Observation.of(quantity, [Sample(value=float(getattr(c, quantity)))])) for t, c in long.items()
    )


def _difference(counter: Counter, reference: Counter, asked: Size) -> Difference:
    size = at_length(asked, COMPARED_AT)
    mine, theirs = ({o.name: o for o in c.at(size).operators} for c in (counter, reference))
    differences = []
    for name in mine.keys() | theirs.keys():
        (kernels, work), (their_kernels, their_work) = (
            (side[name].kernels, side[name].work) if name in side else (0, 0) for side in (mine, theirs)
        )
        if (kernels, work) != (their_kernels, their_work):
            differences.append((name, kernels - their_kernels, work - their_work))
    return Difference(
        length=COMPARED_AT,
        work=counter.at(size).work,
        reference_work=reference.at(size).work,
        operators=tuple(sorted(differences, key=lambda d: (-abs(d[2]), -abs(d[1]), d[0]))),
    )


def _executed(counter: Counter, mode: str, asked: Size, lengths: Sequence[int], cause: str, start: float) -> Survey:
    """Count real runs at short lengths, on two inputs: where they differ no law holds."""
    same = True
    for length in EXECUTED_LENGTHS:
        size = at_length(asked, length)
        try:
            first, second = (counter.executed(size, seed, ONE_S) for seed in SEEDS)
        except TooLongError:
            break
        except UnsupportedError:
            raise
        except Exception as error:
            raise UnsupportedError(f"{cause} A real run at T = {length} fails too: {error}") from error
        same = same and first == second
        counter.counts[size] = first
    laws = _laws(counter, asked, over=False) if same else {}
    note = "counted on real runs; another input may take another path"
    if not same:
        note = "counts differ between two inputs of the same size: no law holds; the table is of one input"
    return _finished(counter, mode, asked, lengths, laws, None, cause, (note,), start)


def _finished(
    counter: Counter,
    mode: str,
    asked: Size,
    lengths: Sequence[int],
    laws: Mapping[str, Law],
    difference: Difference | None,
    executed: str | None,
    notes: tuple[str, ...],
    start: float,
) -> Survey:
    counts = _at_asked(counter, asked)
    return Survey(
        layer=counter.subject.name,
        algorithm=counter.subject.algorithm,
        mode=mode,
        dtype=counter.subject.dtype,
        asked=asked,
        lengths=tuple(lengths) if laws else tuple(counts),
        laws=laws,
        counts=counts,
        unknown_operators=tuple(sorted({name for c in counts.values() for name in c.unknown_operators})),
        difference=difference,
        executed=executed,
        notes=notes,
        seconds=time.perf_counter() - start,
    )
