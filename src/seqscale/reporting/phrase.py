"""The answer in one sentence, computed from the judgements and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqscale.reporting.calibration import calibration_line, checks
from seqscale.reporting.model import (
    Entry,
    Page,
    defaults,
    entries,
    judged,
    layer_names,
    lengths_judged,
    reason_counts,
)
from seqscale.verdicts.base import Verdict

# The claims that the sentence speaks of, in its order, and how it says that they hold and that they fail; a claim that
# was not asked is left out.
CLAUSES = {
    "time.linear-forward": (
        "forward time grew in proportion to length",
        "forward time did not grow in proportion to length",
    ),
    "parallel.span-grows": (
        "the chain of steps that must wait for each other grew in proportion to length",
        "the chain of steps that must wait for each other did not grow in proportion to length",
    ),
    "memory.bptt-linear": (
        "the memory that training keeps grew in proportion to length",
        "the memory that training keeps did not grow in proportion to length",
    ),
    "memory.decode-state": (
        "the state that decoding carries stayed the same at every length",
        "the state that decoding carries did not stay the same at every length",
    ),
    "information.first-token-fades": (
        "the state told less of the first of 32 tokens than of the first of 2",
        "the state told no less of the first of 32 tokens than of the first of 2",
    ),
    "retrieval.recurrence-cannot": (
        "which of a few values belongs to a key was not learned",
        "which of a few values belongs to a key was learned",
    ),
}
MOST_NAMED = 4  # layers that a clause names; of more it says how many


def listed(words: Iterable[str]) -> str:
    """Write `a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def grouped(asked: Sequence[Entry], among: Sequence[Entry]) -> tuple[str, ...]:
    """Name the entries `asked` as shortly as is true within `among`, each layer once where it can be.

    `gru` means every algorithm and width of gru that is in `among`; `gru/library` every width of that algorithm.
    """
    chosen = set(asked)
    by_layer: dict[str, list[Entry]] = {}
    for entry in among:
        by_layer.setdefault(entry.layer, []).append(entry)
    names: dict[str, None] = {}
    for entry in asked:
        whole = by_layer[entry.layer]
        same = {e for e in whole if e.question.algorithm == entry.question.algorithm}
        if chosen.issuperset(whole):
            names[entry.layer] = None
        elif chosen >= same:
            names[f"{entry.layer}/{entry.question.algorithm}"] = None
        else:
            names[entry.subject] = None
    return tuple(names)


def named(asked: Sequence[Entry], verdict: Verdict) -> str:
    """Name the entries of one verdict: all, or as `grouped`, the undecided by reason; empty where there are none."""
    found = [e for e in asked if e.judgement.verdict is verdict]
    parts = []
    for reason in dict.fromkeys(e.judgement.reason for e in found):
        names = grouped([e for e in found if e.judgement.reason is reason], asked)
        every = grouped(asked, asked)
        text = f"all {len(every)}" if names == every and len(names) > 3 else ", ".join(names)
        parts.append(text if reason is None else f"{reason.name}: {text}")
    return "; ".join(parts)


def verdict_sentence(page: Page) -> str:
    """Write how many verdicts there are of each kind, and why the undecided ones are."""
    found = judged(page)
    total = len(found)
    reasons = reason_counts(found)
    undecided = sum(reasons.values())
    if not undecided:
        return f"All {total} verdicts are decided." if total else "No claim was asked."
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"{undecided} of {total} verdicts {'is' if undecided == 1 else 'are'} undecided ({why})."


def answer(page: Page) -> str:
    """Return one sentence: what was found for each layer's default algorithm, where it holds, and what is open."""
    asked = entries(page)
    found, checked = judged(page), checks(page)
    if checked and not found:
        return f"Instruments on what is known: {calibration_line(checked)}."
    if all(j.verdict is Verdict.undecided for j in found):
        return f"Nothing is decided yet. {verdict_sentence(page)}" if found else verdict_sentence(page)
    layers = layer_names(page)
    clauses = [_clause(*CLAUSES[claim], defaults(asked[claim]), len(layers)) for claim in CLAUSES if claim in asked]
    if not clauses:
        return verdict_sentence(page)
    return f"On this machine, for T {lengths_judged(page)} and each layer's default algorithm: {'; '.join(clauses)}."


def _clause(words: str, denial: str, found: Sequence[Entry], layers: int) -> str:
    """Write one claim: for which layers it held, for which it failed, with a number each, for which it is open.

    Args:
        words, denial: how to say that it holds, and that it fails.
        found: the entries of the claim, one for each layer that it was asked of.
        layers: how many layers the page has; a claim may speak of some of them only.
    """
    every = "every layer" if len(found) == layers else "every layer asked"
    held = [e for e in found if e.judgement.verdict is Verdict.supported]
    failed = [e for e in found if e.judgement.verdict is Verdict.contradicted]
    open_ = [e for e in found if e.judgement.verdict is Verdict.undecided]
    if not held and not failed:
        return f"whether {words} is undecided for {every if len(found) > 2 else _layers(open_)}"
    if not open_ and len(found) > 2 and len(held) > len(failed) and len(failed) <= MOST_NAMED:
        text = f"{words} for {every}{_number(held)}" + (f" but {_subjects(failed)}" if failed else "")
    elif held:
        text = f"{words} for {_subjects(held)}" + (f", not for {_subjects(failed)}" if failed else "")
    elif len(failed) == len(found) > 2:
        text = f"{denial} for {every}{_number(failed)}"
    else:
        text = f"{denial} for {_subjects(failed)}"
    return text + (f" (undecided for {_layers(open_)})" if open_ else "")


def _subjects(found: Sequence[Entry]) -> str:
    return _layers(found) + _number(found)


def _layers(found: Sequence[Entry]) -> str:
    return listed(e.layer for e in found) if len(found) <= MOST_NAMED else f"{len(found)} layers"


def _number(found: Sequence[Entry]) -> str:
    """Write the first number of the entries in brackets; its interval stands beside it everywhere else."""
    numbered = next((e for e in found if e.judgement.headline), None)
    if numbered is None:
        return ""
    name = "" if len(found) == 1 else f"{numbered.layer}: "
    return f" ({name}{numbered.judgement.headline.split(' [')[0].removesuffix(', exact')})"
