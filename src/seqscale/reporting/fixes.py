"""The kata's naive fixes: what each buys, what it costs, and what it cannot, from the verdicts of their claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seqscale.reporting.model import Entry, Page, defaults, entries
from seqscale.verdicts.base import Verdict

COLUMNS = ("buys", "costs", "cannot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What was found of one layer: its value, by which layers are compared, and in words, with its interval."""

    value: float
    text: str


def _headline(entry: Entry) -> Number | None:
    return Number(value=0.0, text=entry.judgement.headline) if entry.judgement.headline else None


def _verdict(entry: Entry) -> Verdict | None:
    return entry.judgement.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a column says of a claim.

    Attributes:
        words: what the fix buys, costs or cannot; a supported claim says that it does, or that it cannot.
        number: what was found of a layer; None where its evidence lacks it.
        verdict: what the measurements say of the words; None where they say nothing.
        beside: what else was found, over all layers, in words; empty where there is nothing to say.
    """

    words: str
    number: Callable[[Entry], Number | None] = _headline
    verdict: Callable[[Entry], Verdict | None] = _verdict
    beside: Callable[[tuple[Entry, ...]], str] = lambda _: ""


def _evidence(name: str, words: str) -> Callable[[Entry], Number | None]:
    """Return what writes a number of the evidence with its interval into words; the headline where it is not there."""

    def number(entry: Entry) -> Number | None:
        return _written(entry.judgement.evidence.get(name), words) or _headline(entry)

    return number


def _written(seen: Mapping[str, Any] | None, words: str) -> Number | None:
    if seen is None or "value" not in seen:
        return None
    value, low, high = (float(seen.get(key, seen["value"])) for key in ("value", "low", "high"))
    interval = f" [{low:.3g}, {high:.3g}]" if low < high else ""
    return Number(value=value, text=words.format(f"{value:.3g}{interval}"))


def _arm(entry: Entry, part: str) -> Mapping[str, Any] | None:
    """Return of the arms whose label has this part the one of the largest effect; None where there is none."""
    arms = [arm for arm in entry.judgement.evidence.get("arms", ()) if part in arm["arm"]]
    return max(arms, key=lambda arm: float(arm["effect"]["value"]), default=None)


def _effect(part: str, words: str) -> Callable[[Entry], Number | None]:
    """Return what writes the effect of an arm into words; the headline where it was not declared."""

    def number(entry: Entry) -> Number | None:
        arm = _arm(entry, part)
        return _headline(entry) if arm is None else _written(arm["effect"], words)

    return number


def _reset_number(entry: Entry) -> Number | None:
    arm = _arm(entry, RESET)
    return None if arm is None else _written(arm["effect"], "R^2 {}")


def _reset_verdict(entry: Entry) -> Verdict | None:
    arm = _arm(entry, RESET)
    return None if arm is None else Verdict[arm["says"]]


def _across_time(found: tuple[Entry, ...]) -> str:
    """Say for how many layers the chain of steps is as long in a wider state, by the counts of both widths."""
    ends = {
        entry: [curve.points[-1] for curve in entry.judgement.curves if curve.quantity == "ideal_span"]
        for entry in defaults(found)
    }
    counted = [(entry, pair) for entry, pair in ends.items() if len(pair) == 2]
    same = [(entry, pair) for entry, pair in counted if pair[1].y >= pair[0].y]
    if not same:
        return ""
    (entry, (narrow, wide)), *_ = same
    return (
        f"across time it does nothing for {len(same)} of {len(counted)} layers: the chain of steps is no shorter "
        f"({entry.subject}, T = {wide.x:g}: {narrow.y:g} steps, and {wide.y:g} in the wider state)"
    )


RESET = "state reset"
# Each fix: column -> the claims that speak of it, in the words of the column.
FIXES: Mapping[str, Mapping[str, Mapping[str, Said]]] = {
    "A wider state": {
        "buys": {
            "width.capacity-grows": Said(
                words="room: the state tells more", number=_evidence("exponent", "bits found grow as N^{}")
            )
        },
        "costs": {
            "width.work-quadruples": Said(words="four times the work a step", number=_evidence("ratio", "{} times")),
            "width.time-quadruples": Said(words="four times the time a step", number=_evidence("ratio", "{} times")),
        },
        "cannot": {"width.no-parallelism": Said(words="let more run at once within a step", beside=_across_time)},
    },
    "Truncated BPTT": {
        "buys": {"truncation.saves-memory": Said(words="memory: what training keeps shrinks")},
        "costs": {
            "truncation.caps-learning": Said(
                words="all that lies beyond the window, where the state is reset at each",
                number=_reset_number,
                verdict=_reset_verdict,
            )
        },
        "cannot": {
            "truncation.caps-learning": Said(
                words="learn beyond its window, where the state is carried", number=_effect("state carried", "R^2 {}")
            )
        },
    },
    "Segments with carried state": {
        "buys": {"segments.saves-memory": Said(words="memory: one segment is kept at a time")},
        "costs": {
            "segments.funnel": Said(
                words="all but what the carried state tells, no more of a longer past",
                number=_evidence("found", "{} bit cross"),
            )
        },
        "cannot": {
            "segments.no-retrieval": Said(
                words="retrieve from earlier segments",
                number=_effect("", "right answers above those without the keys: {}"),
            )
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim on a fix, in the words of its column, and what was found for each layer."""

    claim: str
    said: Said
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many entries have each verdict on the words; every verdict is a key."""
        counted = Counter(self.said.verdict(entry) for entry in self.entries)
        return {verdict: counted[verdict] for verdict in Verdict}

    @property
    def example(self) -> str:
        """The middle one of the layers with the verdict that most decided ones have; empty where none is decided."""
        verdicts = {entry: self.said.verdict(entry) for entry in defaults(self.entries)}
        decided = Counter(v for v in verdicts.values() if v in (Verdict.supported, Verdict.contradicted))
        if not decided:
            return ""
        ((most, _),) = decided.most_common(1)
        numbers = [
            (number, entry)
            for entry, verdict in verdicts.items()
            if verdict is most and (number := self.said.number(entry)) is not None
        ]
        if not numbers:
            return ""
        ordered = sorted(numbers, key=lambda pair: pair[0].value)
        number, entry = ordered[len(ordered) // 2]
        return f"{entry.subject}: {number.text}"


def fixes(page: Page) -> dict[str, dict[str, tuple[Finding, ...]]]:
    """Return fix -> column -> findings; only fixes that the page has a claim of."""
    asked = entries(page)
    found = {
        fix: {
            column: tuple(
                Finding(claim=claim, said=said, entries=asked[claim])
                for claim, said in columns[column].items()
                if claim in asked and any(said.verdict(entry) for entry in asked[claim])
            )
            for column in COLUMNS
        }
        for fix, columns in FIXES.items()
    }
    return {fix: columns for fix, columns in found.items() if any(columns.values())}
