"""What the terminal shows: the first screen after a run, the claims one by one, and the state of a store."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from seqscale.records import INSTRUMENT_NAME
from seqscale.reporting.calibration import calibration_line, checks
from seqscale.reporting.compare import Rivalry, rivalries
from seqscale.reporting.model import (
    TAKEAWAYS,
    Entry,
    Page,
    by_takeaway,
    defaults,
    duration,
    failures,
    in_words,
    judged,
    lengths_text,
    outcome_counts,
    printable,
    reason_counts,
    scope_facts,
    verdict_counts,
)
from seqscale.reporting.phrase import grouped
from seqscale.rows import Table
from seqscale.verdicts.base import AbstractClaim, Judgement, Reason, Verdict

WIDTH = 100  # columns
COLUMNS = (45, 18, 18, 19)  # claim (the longest id has 42 letters), holds, fails, undecided
RIVAL_COLUMNS = (19, 29, 29, 23)  # rival, at the smallest length, at the largest, crossover
DECIDED = 3  # commands that would decide something, the cheapest
HEADS = {Verdict.supported: "HOLDS", Verdict.contradicted: "FAILS", Verdict.undecided: "UNDECIDED"}


def first_screen(page: Page, *, store: str, report: str | None, command: str = "seqscale run") -> str:
    """Return the answer that a run leaves in the terminal, at most WIDTH columns wide.

    Args:
        page: what was found.
        store, report: paths as the user may type them; report None: none was written.
        command: the run as it was typed, to be repeated with --until.
    """
    parts = (
        _header(page), _takeaways(page) or _instruments(page), _faster(rivalries(page)),
        _next_steps(page, store, report, command),
    )  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def claims_text(judgements: Sequence[Judgement], claims: Mapping[str, AbstractClaim]) -> str:
    """Return a line of counts, then one block per claim: its registration, and what was found for every layer."""
    if not judgements:
        return "no claim was asked.\n"
    asked = dict.fromkeys(j.claim for j in judgements)
    counts = ", ".join(f"{n} {verdict.name}" for verdict, n in verdict_counts(judgements).items())
    claims_asked = f"{len(asked)} claim{'' if len(asked) == 1 else 's'}"
    verdicts = f"{len(judgements)} verdict{'' if len(judgements) == 1 else 's'}"
    blocks = [f"{claims_asked}, {verdicts}: {counts}."]
    for claim in asked:
        said = claims[claim]
        found = [j for j in judgements if j.claim == claim]
        counts = ", ".join(f"{n} {verdict.name}" for verdict, n in verdict_counts(found).items() if n)
        lines = [f"{claim}: {counts}", *_wrapped(f'"{said.sentence}"', "  ")]
        lines += _wrapped(f"{said.kind.name}: {said.kind.value}. {said.estimand}; delta {said.delta:g}.", "  ")
        for j in found:
            why = "" if j.reason is None else f" ({j.reason.name}: {j.reason.value}; {j.reason.cure})"
            lines += _wrapped(f"{j.layer}/{j.algorithm}{_where(j)}: {j.verdict.name}{why}", "  - ", "    ")
            lines += _wrapped(j.statement, "    ")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _where(judgement: Judgement) -> str:
    """Write the part of a verdict's scope in which two verdicts of one layer differ; an instrument has none."""
    scope = judgement.scope
    lengths = scope.get("lengths")
    if not lengths or judgement.layer == INSTRUMENT_NAME:
        return ""
    return f" (T {lengths_text(lengths)}, d={scope['width']}, batch {scope['batch']})"


def status_text(table: Table) -> str:
    """Return what is done, what is left and what failed, with the cure."""
    counts = outcome_counts(table)
    lines = _wrapped(f"{len(table)} cells: {_counted(counts)}.", "") if counts else ["no cells."]
    for failure in failures(table):
        what = f"{failure.subject} {failure.what} T={lengths_text(failure.lengths)}"
        cells = f"{failure.count} cell{'' if failure.count == 1 else 's'}"
        lines += _wrapped(f"{what} ({cells}): {in_words(failure.kind)}, {failure.reason}", "  - ", "    ")
        lines += _wrapped(failure.kind.cure, "    ")
    return "\n".join(lines) + "\n"


def _header(page: Page) -> list[str]:
    facts = " - ".join((f"seqscale {page.study}", *scope_facts(page), duration(page.wall_s)))
    lines = _wrapped(facts, "", "  ")
    counts = outcome_counts(page.table)
    lines += _wrapped(f"cells: {_counted(counts)}. Verdicts hold for this scope." if counts else "no cells.", "")
    if found := checks(page):
        lines += _wrapped(f"instruments: {calibration_line(found)}.", "", "  ")
    for note in page.notes:
        lines += _wrapped(f"note: {note}", "", "  ")
    return lines


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _takeaways(page: Page) -> list[str]:
    """Write the kata's takeaways: a line each with counts, its first claim with names and numbers, then its others.

    The others name layers only where they fit on their line.
    """
    found = by_takeaway(page)
    if not found:
        return []
    lines = _row(["THE KATA SAYS", *HEADS.values()])
    for takeaway, claims in found.items():
        everything = [e.judgement for asked in claims.values() for e in asked]
        counts = verdict_counts(everything)
        lines += _row([f"{takeaway} {TAKEAWAYS[takeaway]}", *(f"{counts[v]} of {len(everything)}" for v in HEADS)])
        for place, (claim, asked) in enumerate(claims.items()):
            widths = [w - 1 for w in COLUMNS[1:]] if place else [len(asked) * WIDTH] * len(HEADS)
            lines += _row([f"  {claim}", *map(_names, [asked] * len(HEADS), HEADS, widths)])
            lines += [] if place else _numbers(defaults(asked))
    return lines


def _instruments(page: Page) -> list[str]:
    """Write every check of the instruments, for a study that asks nothing of layers."""
    found = checks(page)
    if not found:
        return []
    lines = [f"{TAKEAWAYS[0].upper()}: error over what is allowed"]
    for check in found:
        error = "-" if check.error is None else f"{check.error:.3g}"
        word = check.outcome if check.error is None else "passed" if check.passed else "FAILED"
        furthest = check.comparisons[0].text() if check.comparisons else ""
        lines += _wrapped(f"{check.name:<16} {error:>8}  {word:<7} {furthest}", "  ", " " * 37)
    return lines


def _names(asked: Sequence[Entry], verdict: Verdict, width: int) -> str:
    """Name the layers of one verdict as far as they fit on a line, or count them; undecided ones with the reason."""
    found = [e for e in asked if e.judgement.verdict is verdict]
    if verdict is not Verdict.undecided or not found:
        return _shortly(found, asked, width)
    by_reason = {reason: [e for e in found if e.judgement.reason is reason] for reason in Reason}
    known = {reason.name: some for reason, some in by_reason.items() if some}
    named = "; ".join(f"{reason}: {' '.join(grouped(some, asked))}" for reason, some in known.items())
    return named if len(named) <= width else ", ".join(f"{len(some)} {reason}" for reason, some in known.items())


def _shortly(found: Sequence[Entry], asked: Sequence[Entry], width: int) -> str:
    """Write the names of `found`, "all 11", "all but gru", or "7 of 11": the first that is short enough."""
    if not found:
        return "-"
    rest = [e for e in asked if e not in set(found)]
    names = " ".join(grouped(found, asked))
    if len(names) <= width:
        return names
    if not rest:
        return f"all {len(asked)}"
    others = f"all but {' '.join(grouped(rest, asked))}"
    return others if len(others) <= width else f"{len(found)} of {len(asked)}"


def _numbers(asked: Sequence[Entry]) -> list[str]:
    """Write one line with the numbers of the layers' default algorithms, as many as fit; every verdict's first."""
    leads = {e.judgement.verdict: e for e in reversed(asked) if e.judgement.headline}
    ordered = [*(leads[v] for v in Verdict if v in leads), *(e for e in asked if e.judgement.headline)]
    numbers = dict.fromkeys(f"{e.subject} {printable(e.judgement.headline)}" for e in ordered)
    if not numbers:
        return []
    line, *more = numbers
    for number in more:
        if len(line) + len(number) > WIDTH - 12:
            return [f"      {line}; ..."[:WIDTH]]
        line += f"; {number}"
    return [f"      {line}"[:WIDTH]]


def _row(cells: Sequence[str], widths: Sequence[int] = COLUMNS) -> list[str]:
    """Lay out one row of the table, wrapping each cell within its column."""
    columns = []
    gaps = [1] * (len(widths) - 1) + [0]  # what follows a cell: the next column, or nothing
    for cell, width, gap in zip(cells, widths, gaps, strict=True):
        lead = " " * (len(cell) - len(cell.lstrip()))
        # attention/reference is longer than a column: it goes on after its slash
        words = " ".join(word if len(word) <= width - gap else word.replace("/", "/ ") for word in cell.split())
        wrapped = textwrap.wrap(words, width - gap, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)
        columns.append(wrapped or [""])
    height = max(len(column) for column in columns)
    lines = []
    for i in range(height):
        texts = (column[i] if i < len(column) else "" for column in columns)
        lines.append("".join(f"{text:<{w}}" for text, w in zip(texts, widths, strict=True)).rstrip())
    return lines


def _faster(found: Sequence[Rivalry]) -> list[str]:
    """Write who is the faster forward at the smallest and largest common length, by which factor."""
    if not found:
        return []
    # A rival that reaches less far than most says so in its own row.
    usual = [statistics.mode(rivalry.ratios[end].length for rivalry in found) for end in (0, -1)]
    lines = _wrapped(f"FASTER FORWARD, measured: {found[0].attention} against", "")
    lines += _row(["", *(f"at T={length}" for length in usual), "crossover"], RIVAL_COLUMNS)
    for rivalry in found:
        ends = zip(usual, (rivalry.ratios[0], rivalry.ratios[-1]), strict=True)
        texts = [("" if r.length == length else f"T={r.length}: ") + rivalry.factor(r) for length, r in ends]
        lines += _row([rivalry.rival, *texts, rivalry.crossover], RIVAL_COLUMNS)
    return [*lines, "  how many times faster, with its 95 % interval; a tie: it includes 1, or under the noise floor"]


def _next_steps(page: Page, store: str, report: str | None, command: str) -> list[str]:
    found = judged(page)
    counts, reasons = verdict_counts(found), reason_counts(found)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    lines = []
    if found or not checks(page):
        lines += [", ".join(f"{n} {verdict.name}" for verdict, n in counts.items()) + why]
        lines += ["a bare name stands for every algorithm of the layer that was judged"] if found else []
    steps = [*_decide(page, command), ("Your own layer:", "seqscale run --layer mine.py:MyLayer")]
    steps += [("Report:", report)] if report is not None else []
    steps += [("Every claim:", f"seqscale claims {store}")]
    column = max(len(head) for head, _ in steps) + 2
    # Paths and commands are never wrapped: they are there to be copied.
    return [*lines, *(f"{head:<{column}}{text}" for head, text in steps)]


def _decide(page: Page, command: str) -> list[tuple[str, str]]:
    """Return the commands that would decide what more measurement can decide: the cheapest, and how many more."""
    ranked = sorted(page.costs.items(), key=lambda item: item[1])
    steps = [(f"Decide in about {duration(s)}:", f"{command} --until {claim}") for claim, s in ranked[:DECIDED]]
    more = len(ranked) - DECIDED
    return [*steps, ("", f"and {more} more claims likewise: each undecided one names its cure")] if more > 0 else steps


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest
    ) or [first.rstrip()]
