"""What a report is made of: plain frozen values, and the views of them that screen, page and files share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seqscale.records import INSTRUMENT_NAME, Cell, Option, Question
from seqscale.rows import OutcomeKind, Row, Table
from seqscale.units import format_seconds
from seqscale.verdicts.base import AbstractClaim, Judgement, Verdict

TAKEAWAYS = {
    0: "The instruments read what is known",
    1: "Steps must wait for each other",
    2: "A fixed state forgets",
    3: "BPTT memory grows with T",
    4: "Attention addresses all three",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that one report shows; the screen, the HTML page and the exported files are functions of it.

    Attributes:
        study: name of the study.
        date: when it was measured, as it is to be printed.
        wall_s: wall time of the study so far [s].
        machine, versions: facts by name, as they are to be printed.
        questions: what was asked.
        judgements: what was found, one for each question, in the same order.
        claims: claim id -> claim, at least for every question.
        table: the rows of the study's cells, and no others; a row without outcome is a cell that is left.
        notes: what holds for every number ("dropout set to 0 in mine.py:Mine").
        noise_floor: how far two measurements of the same cell differ, as a share (verdicts.common.noise_floor).
        costs: claim id -> seconds that `--until` would probably take, for claims that more measurement can decide.
    """

    study: str
    date: str
    wall_s: float
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    questions: tuple[Question, ...]
    judgements: tuple[Judgement, ...]
    claims: Mapping[str, AbstractClaim]
    table: Table
    notes: tuple[str, ...]
    noise_floor: float
    costs: Mapping[str, float]

    def __post_init__(self) -> None:
        asked = [(q.claim, q.layer.name, q.algorithm) for q in self.questions]
        judged = [(j.claim, j.layer, j.algorithm) for j in self.judgements]
        if asked != judged:
            raise ValueError("judgements must answer the questions, one each, in the same order")
        unknown = sorted({q.claim for q in self.questions} - set(self.claims))
        if unknown:
            raise ValueError(f"claims that nobody registered: {', '.join(unknown)}")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A question, its judgement, and how a person reads its subject. Equal only to itself, so that sets are quick."""

    question: Question
    judgement: Judgement
    layer: str  # display name
    subject: str  # "gru/library", with the width where the claim was asked at several


@dataclass(frozen=True, slots=True)
class Failure:
    """Cells that share layer, algorithm, probe, mode, outcome and reason."""

    subject: str
    what: str
    lengths: tuple[int, ...]
    count: int
    kind: OutcomeKind
    reason: str


def printable(text: str) -> str:
    """Replace control characters (a layer's name or error may hold any), so that a terminal shows and never obeys."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def layer_names(page: Page) -> dict[str, str]:
    """Return layer -> the name to print: a user's file without its folders, unless two files share that name.

    An instrument is asked about like a layer, and is none.
    """
    layers = dict.fromkeys(q.layer.name for q in page.questions if q.layer.name != INSTRUMENT_NAME)
    short = {name: printable(name.rsplit("/", 1)[-1]) or "?" for name in layers}
    times = Counter(short.values())
    return {name: text if times[text] == 1 else printable(name) for name, text in short.items()}


def widths(page: Page) -> tuple[int, ...]:
    """Return the stream widths that the page's questions were asked at, rising."""
    return tuple(sorted({q.scope.width for q in page.questions}))


def entries(page: Page) -> dict[str, tuple[Entry, ...]]:
    """Return claim id -> its entries, claims by takeaway and then in the order asked; only what is asked of layers."""
    names, asked = layer_names(page), _widths_asked(page)
    found: dict[str, list[Entry]] = {}
    for question, judgement in zip(page.questions, page.judgements, strict=True):
        if question.layer.name not in names:
            continue
        layer = names[question.layer.name]
        width = f" d={question.scope.width}" if len(asked[question.claim]) > 1 else ""
        entry = Entry(question, judgement, layer, f"{layer}/{question.algorithm}{width}")
        found.setdefault(question.claim, []).append(entry)
    ranked = sorted(found, key=lambda claim: page.claims[claim].takeaway)
    return {claim: tuple(found[claim]) for claim in ranked}


def several_widths(page: Page) -> bool:
    """Whether some claim was asked at more than one width of the stream."""
    return any(len(asked) > 1 for asked in _widths_asked(page).values())


def _widths_asked(page: Page) -> dict[str, set[int]]:
    asked: dict[str, set[int]] = {}
    for question in page.questions:
        asked.setdefault(question.claim, set()).add(question.scope.width)
    return asked


def judged(page: Page) -> tuple[Judgement, ...]:
    """Return the judgements of layers, in the order asked."""
    names = layer_names(page)
    return tuple(j for q, j in zip(page.questions, page.judgements, strict=True) if q.layer.name in names)


def by_takeaway(page: Page) -> dict[int, dict[str, tuple[Entry, ...]]]:
    """Return takeaway -> claim id -> entries; only takeaways that have claims here."""
    found: dict[int, dict[str, tuple[Entry, ...]]] = {}
    for claim, asked in entries(page).items():
        found.setdefault(page.claims[claim].takeaway, {})[claim] = asked
    return found


def defaults(asked: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return for each layer the entry of the algorithm that the layer names first, at its smallest width."""
    best: dict[str, Entry] = {}
    for entry in asked:
        now = best.get(entry.layer)
        if now is None or _preference(entry) < _preference(now):
            best[entry.layer] = entry
    return tuple(best.values())


def _preference(entry: Entry) -> tuple[int, int]:
    order = entry.question.layer.algorithms
    known = entry.question.algorithm in order
    return (order.index(entry.question.algorithm) if known else len(order), entry.question.scope.width)


def verdict_counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """Count the judgements by verdict; every verdict is a key."""
    counted = Counter(j.verdict for j in judgements)
    return {verdict: counted[verdict] for verdict in Verdict}


def reason_counts(judgements: Iterable[Judgement]) -> dict[str, int]:
    """Count the undecided judgements by reason, most frequent first."""
    return dict(Counter(j.reason.name for j in judgements if j.reason is not None).most_common())


def in_words(kind: OutcomeKind) -> str:
    """Write an outcome's name as words: `timed out`."""
    return kind.name.replace("_", " ")


def outcome_counts(table: Table) -> dict[str, int]:
    """Count the rows by outcome, in the order of OutcomeKind; rows without outcome as `left`. No zeros."""
    counted = Counter(None if row.outcome is None else row.outcome.kind for row in table)
    words = {in_words(kind): counted[kind] for kind in OutcomeKind} | {"left": counted[None]}
    return {word: count for word, count in words.items() if count}


def failures(table: Table) -> tuple[Failure, ...]:
    """Return the rows that have an outcome other than ok, grouped by what went wrong."""
    groups: dict[tuple[str, str, OutcomeKind, str], list[Cell]] = {}
    apart = varying(table)
    for row in table:
        if row.outcome is not None and row.outcome.kind is not OutcomeKind.ok:
            cell = row.cell
            what = " ".join((cell.probe, cell.mode, *conditions_text(cell, apart)))
            key = (f"{cell.layer}/{cell.algorithm}", what, row.outcome.kind)
            groups.setdefault((*key, row.outcome.reason or ""), []).append(cell)
    return tuple(
        Failure(subject, what, tuple(sorted({c.length for c in cells})), len(cells), kind, reason)
        for (subject, what, kind, reason), cells in groups.items()
    )


def varying(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    """Return probe -> the conditions that tell its cells apart, in the order of their names."""
    seen: dict[str, dict[str, set[Option]]] = {}
    for cell in (row.cell for row in rows):
        for name, value in cell.conditions:
            seen.setdefault(cell.probe, {}).setdefault(name, set()).add(value)
    return {probe: tuple(n for n, values in found.items() if len(values) > 1) for probe, found in seen.items()}


def conditions_text(cell: Cell, apart: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Write the conditions of a cell that `varying` names for its probe, each as `pairs=4`."""
    return tuple(f"{name}={value}" for name, value in cell.conditions if name in apart.get(cell.probe, ()))


def lengths_text(lengths: Iterable[int]) -> str:
    """Write lengths as `512`, or `32..4096`."""
    found = sorted(lengths)
    return "none" if not found else f"{found[0]}" if found[0] == found[-1] else f"{found[0]}..{found[-1]}"


def duration(seconds: float) -> str:
    """Write a wall time: `42.5 s`, `4 m 12 s`, `2 h 05 m`."""
    if seconds < 60:
        return format_seconds(seconds) if seconds else "0 s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} m {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} m"


def scope_facts(page: Page) -> tuple[str, ...]:
    """Return where the page's verdicts hold, in words; each fact once over all questions.

    Checks of an instrument have widths and lengths of their own.
    """
    names = layer_names(page)
    asked = [pair for pair in zip(page.questions, page.judgements, strict=True) if pair[0].layer.name in names]
    scopes = [q.scope for q in page.questions]
    if not scopes:
        return ()

    def each(*values: object) -> str:
        return ", ".join(str(value) for value in dict.fromkeys(values))

    threads = each(*sorted({s.threads for s in scopes}))
    return (
        f"{threads} {each(*(s.device.upper() for s in scopes))} thread{'' if threads == '1' else 's'}",
        each(*(s.dtype for s in scopes)),
        *([f"width {each(*sorted({q.scope.width for q, _ in asked}))}"] if asked else []),
        f"batch {each(*(s.batch for s in scopes))}",
        *([f"T {lengths_judged(page)}"] if asked else []),
    )


def lengths_judged(page: Page) -> str:
    """Write the lengths of the verdicts on layers; a claim with lengths of its own says so in its judgement's scope."""
    names = layer_names(page)
    asked = (pair for pair in zip(page.questions, page.judgements, strict=True) if pair[0].layer.name in names)
    return lengths_text(n for q, j in asked for n in j.scope.get("lengths", q.scope.lengths))


def rows_of(page: Page, asked: Iterable[Entry]) -> tuple[tuple[Entry, Row], ...]:
    """Return every row that the entries' claims need, beside the entry that needs it; each row once."""
    seen: dict[Cell, tuple[Entry, Row]] = {}
    for entry in asked:
        for row in page.table.rows_of(page.claims[entry.judgement.claim].requires(entry.question)):
            seen.setdefault(row.cell, (entry, row))
    return tuple(seen.values())
