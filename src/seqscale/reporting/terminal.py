"""What the terminal shows: the first screen after a run, the claims one by one, and the state of a store."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from seqscale.records import Table
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
    lengths_text,
    outcome_counts,
    printable,
    reason_counts,
    scope_facts,
    verdict_counts,
)
from seqscale.reporting.phrase import algorithms_line, grouped
from seqscale.verdicts.base import AbstractClaim, Judgement, Reason, Verdict

WIDTH = 100  # columns
COLUMNS = (37, 20, 20, 23)  # claim (the longest id has 34 letters), holds, fails, undecided
RIVAL_COLUMNS = (19, 29, 29, 23)  # rival, at the smallest length, at the largest, crossover
HEADS = {Verdict.supported: "HOLDS", Verdict.contradicted: "FAILS", Verdict.undecided: "UNDECIDED"}


def first_screen(page: Page, *, store: str, report: str | None, command: str = "seqscale run") -> str:
    """Return the answer that a run leaves in the terminal, at most WIDTH columns wide.

    Args:
        page: what was found.
        store, report: paths as the user may type them; report None: none was written.
        command: the run as it was typed, to be repeated with --until.
    """
    parts = (_header(page), _takeaways(page), _faster(rivalries(page)), _next_steps(page, store, report, command))
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def claims_text(judgements: Sequence[Judgement], claims: Mapping[str, AbstractClaim]) -> str:
    """Return one block per claim: its registration, and what was found for every layer."""
    blocks = []
    for claim in dict.fromkeys(j.claim for j in judgements):
        said = claims[claim]
        found = [j for j in judgements if j.claim == claim]
        counts = ", ".join(f"{n} {verdict.name}" for verdict, n in verdict_counts(found).items() if n)
        lines = [f"{claim}: {counts}", *_wrapped(f'"{said.sentence}"', "  ")]
        lines += _wrapped(f"{said.kind.name}: {said.kind.value}. {said.estimand}; delta {said.delta:g}.", "  ")
        for j in found:
            why = "" if j.reason is None else f" ({j.reason.name}: {j.reason.value}; {j.reason.cure})"
            lines += _wrapped(f"{j.layer}/{j.algorithm} {_where(j)}: {j.verdict.name}{why}", "  - ", "    ")
            lines += _wrapped(j.statement, "    ")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n" if blocks else "no claim was asked.\n"


def _where(judgement: Judgement) -> str:
    """Write the part of a verdict's scope in which two verdicts of one layer differ."""
    scope = judgement.scope
    lengths = scope.get("lengths")
    return f"(T {lengths[0]}..{lengths[-1]}, d={scope['width']}, batch {scope['batch']})" if lengths else ""


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
    for note in page.notes:
        lines += _wrapped(f"note: {note}", "", "  ")
    return lines


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _takeaways(page: Page) -> list[str]:
    """Write the kata's takeaways: a line each with counts, and below it a row and the numbers of every claim."""
    found = by_takeaway(page)
    if not found:
        return []
    lines = _row(["THE KATA SAYS", *HEADS.values()])
    for takeaway, claims in found.items():
        judged = [e.judgement for asked in claims.values() for e in asked]
        counts = verdict_counts(judged)
        lines += _row([f"{takeaway} {TAKEAWAYS[takeaway]}", *(f"{counts[v]} of {len(judged)}" for v in HEADS)])
        for claim, asked in claims.items():
            lines += _row([f"  {claim}", *(_names(asked, verdict) for verdict in HEADS)])
            lines += _numbers(defaults(asked))
    return lines


def _names(asked: Sequence[Entry], verdict: Verdict) -> str:
    """List the layers of one verdict, each once; undecided ones with the reason."""
    if verdict is not Verdict.undecided:
        return " ".join(grouped([e for e in asked if e.judgement.verdict is verdict], asked)) or "-"
    names = []
    for reason in Reason:
        found = [e for e in asked if e.judgement.reason is reason]
        if found:
            names.append(f"{reason.name}: {' '.join(grouped(found, asked))}")
    return "; ".join(names) or "-"


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
        columns.append(textwrap.wrap(cell.strip(), width - gap, initial_indent=lead, subsequent_indent=lead) or [""])
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
    counts, reasons = verdict_counts(page.judgements), reason_counts(page.judgements)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    lines = [", ".join(f"{n} {verdict.name}" for verdict, n in counts.items()) + why]
    if page.questions:
        lines += _wrapped(f"a bare name stands for every algorithm judged: {algorithms_line(page)}", "", "  ")
    steps = [*_decide(page, command), ("Your own layer:", "seqscale run --layer mine.py:MyLayer")]
    steps += [("Report:", report)] if report is not None else []
    steps += [("Every claim:", f"seqscale claims {store}")]
    column = max(len(head) for head, _ in steps) + 2
    # Paths and commands are never wrapped: they are there to be copied.
    return [*lines, *(f"{head:<{column}}{text}" for head, text in steps)]


def _decide(page: Page, command: str) -> list[tuple[str, str]]:
    """Return the commands that would decide what more measurement can decide, the cheapest first."""
    ranked = sorted(page.costs.items(), key=lambda item: item[1])
    return [(f"Decide {claim} (about {duration(s)}):", f"{command} --until {claim}") for claim, s in ranked]


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest
    ) or [first.rstrip()]
