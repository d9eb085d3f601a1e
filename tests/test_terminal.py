"""The terminal's screens: fixed layout, verdict words that agree with the numbers, nothing that a name can break."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from information_pages import information_page
from processor_pages import processors_page
from report_pages import (
    ATTENTION,
    CLAIMS,
    ELMAN,
    GRU,
    LENGTHS,
    LSTM,
    OWN,
    broken,
    layer,
    measured,
    page,
    scope,
    value_of,
)

from seqscale.records import Question
from seqscale.reporting.compare import Ratio, Rivalry, rivalries
from seqscale.reporting.model import Page, lengths_text
from seqscale.reporting.terminal import COLUMNS, WIDTH, claims_text, first_screen, status_text
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.verdicts.base import Judgement, Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS as REGISTERED

REASONS = (None, *Reason)


def screen(found: Page) -> str:
    return first_screen(found, store="s.db", report="r.html")


def judged(claim: str, name: str, algorithm: str, verdict: Verdict, reason: Reason | None, headline: str) -> Judgement:
    return Judgement(
        claim=claim, takeaway=CLAIMS[claim].takeaway, layer=name, algorithm=algorithm, verdict=verdict, reason=reason,
        statement="", headline=headline, scope={}, evidence={},
    )  # fmt: skip


def page_of(rows: list[tuple[str, str, str, Verdict, Reason | None, str]]) -> Page:
    """A page with nothing but judgements: (claim, layer, algorithm, verdict, reason, headline)."""
    questions = tuple(
        Question(claim=c, layer=layer(name, algorithms=("a", "b", "c")), algorithm=algorithm, scope=scope())
        for c, name, algorithm, *_ in rows
    )
    judgements = tuple(judged(*row) for row in rows)
    return dataclasses.replace(page(layers=(GRU,)), questions=questions, judgements=judgements, table=Table(()))


def test_the_first_screen_of_a_small_study_reads_like_this() -> None:
    found = page(layers=(GRU, ATTENTION), claims={"time.linear-forward": CLAIMS["time.linear-forward"]}, notes=())
    assert (
        screen(found)
        == """\
seqscale quick - 2 CPU threads - float32 - width 64 - batch 1 - T 32..4096 - 2 m 11 s
cells: 26 ok. Verdicts hold for this scope.

THE KATA SAYS                                HOLDS             FAILS             UNDECIDED
1 Steps must wait for each other             2 of 4            2 of 4            0 of 4
  time.linear-forward                        gru               attention         -
      gru/library T^1.00 [0.98, 1.02]; attention/library T^2.00 [0.98, 1.02]

FASTER FORWARD, measured: attention/library against
                   at T=32                      at T=4096                    crossover
gru/library        attention 10.8x [10.4, 11]   attention 1.23x [1.2, 1.32]  none in 32..4096
  how many times faster, with its 95 % interval; a tie: it includes 1, or under the noise floor

2 supported, 2 contradicted, 0 undecided
a bare name stands for every algorithm of the layer that was judged
Your own layer:  seqscale run --layer mine.py:MyLayer
Report:          r.html
Every claim:     seqscale claims s.db
"""
    )


def test_counts_of_verdicts_and_cells_agree_with_the_page() -> None:
    found = page()
    text = screen(found)
    kinds = [j.verdict for j in found.judgements]
    assert ", ".join(f"{kinds.count(v)} {v.name}" for v in Verdict) + " (4 budget, 2 noise, 2 unanswerable)" in text
    outcomes = [row.outcome.kind for row in found.table if row.outcome]
    for kind in (OutcomeKind.ok, OutcomeKind.skipped, OutcomeKind.timed_out, OutcomeKind.rejected):
        assert f"{outcomes.count(kind)} {kind.name.replace('_', ' ')}" in text


@pytest.mark.parametrize("claim", REGISTERED)
def test_a_claims_id_stands_on_one_line(claim: str) -> None:
    made = page_of([("time.linear-forward", "gru", "a", Verdict.supported, None, "")])
    question = dataclasses.replace(made.questions[0], claim=claim)
    judgement = dataclasses.replace(made.judgements[0], claim=claim)
    made = dataclasses.replace(made, questions=(question,), judgements=(judgement,), claims=REGISTERED)
    (line,) = [line for line in screen(made).splitlines() if line.startswith(f"  {claim}")]
    assert line[: COLUMNS[0]].strip() == claim


def test_only_takeaways_with_claims_are_shown() -> None:
    text = screen(page())
    assert "3 BPTT memory grows with T" in text
    assert "A fixed state forgets" not in text


def test_the_command_that_decides_says_what_it_costs() -> None:
    assert "Decide in about 3 m 10 s:  seqscale run --until time.linear-training" in screen(page())


def test_of_many_commands_the_cheapest_are_named_and_the_others_counted() -> None:
    costs = {f"claim.number-{n}": 100.0 - n for n in range(5)}
    lines = [line for line in screen(page(costs=costs)).splitlines() if "--until" in line or "likewise" in line]
    assert [line.rpartition(" ")[2] for line in lines[:-1]] == [f"claim.number-{n}" for n in (4, 3, 2)]
    assert "and 2 more claims likewise" in lines[-1]


def test_nothing_left_to_decide_offers_no_command() -> None:
    assert "Decide" not in screen(page(layers=(GRU,)))


def test_two_files_with_the_same_name_keep_their_folders() -> None:
    names = ("a/mine.py:Mine", "b/mine.py:Mine", "c/other.py:Other")
    rows = [("time.linear-forward", n, "a", Verdict.supported, None, "") for n in names]
    lines = screen(page_of(rows))
    assert "a/mine.py:Mine" in lines and "b/mine.py:Mine" in lines
    assert "c/other.py" not in lines


names = st.text("abcdefghij", min_size=1, max_size=6)
decided = st.tuples(st.sampled_from([Verdict.supported, Verdict.contradicted]), st.none())
undecided = st.tuples(st.just(Verdict.undecided), st.sampled_from(list(Reason)))
verdicts = st.one_of(decided, undecided)


Judged = dict[tuple[str, str, str], tuple[Verdict, Reason | None]]


def cells_of(text: str, claim: str) -> list[str]:
    """What stands in the three columns beside a claim, its lines put together."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == [claim] and line.startswith("  "))
    end = start + 1
    while lines[end].startswith(" " * COLUMNS[0]):
        end += 1
    edges = [sum(COLUMNS[:k]) for k in range(1, len(COLUMNS) + 1)]
    return [" ".join(" ".join(line[a:b] for line in lines[start:end]).split()) for a, b in pairwise(edges)]


def named_in(text: str, among: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (layer, algorithm) pairs that a list of names stands for; a bare name stands for all its algorithms."""
    words = [word.rstrip(";") for word in text.split() if not word.endswith(":")]
    return {(n, a) for word in words for n, a in among if word in (n, f"{n}/{a}")}


@given(st.dictionaries(st.tuples(st.sampled_from(sorted(CLAIMS)), names, st.sampled_from("abc")), verdicts, min_size=1))
@settings(deadline=None, max_examples=100)
def test_every_cell_of_the_table_says_what_was_judged(found: Judged) -> None:
    text = screen(page_of([(*key, *verdict, "T^1.00 [0.9, 1.1]") for key, verdict in found.items()]))
    first: dict[int, str] = {}
    for claim, *_ in found:
        first.setdefault(CLAIMS[claim].takeaway, claim)
    for claim in {claim for claim, _, _ in found}:
        among = {(n, a) for c, n, a in found if c == claim}
        for verdict, said in zip(Verdict, cells_of(text, claim), strict=True):
            true = {(n, a) for (c, n, a), (v, _) in found.items() if c == claim and v is verdict}
            counts = [int(n) for n in re.findall(r"(\d+) [a-z]+", said)]
            if claim in first.values():
                assert (said == "-" and not true) or named_in(said, among) == true
            elif said == "-":
                assert not true
            elif said.startswith("all but "):
                assert among - named_in(said.removeprefix("all but "), among) == true
            elif match := re.fullmatch(r"all (\d+)|(\d+) of (\d+)", said):
                every, some, of = match.groups()
                assert len(true) == int(every or some) and len(among) == int(every or of)
            elif counts:
                assert sum(counts) == len(true)
                reasons = Counter(r.name for (c, *_), (v, r) in found.items() if c == claim and v is verdict and r)
                assert said == ", ".join(f"{reasons[r.name]} {r.name}" for r in Reason if r.name in reasons)
            else:
                assert named_in(said, among) == true


def test_only_the_first_claim_of_a_takeaway_has_its_numbers() -> None:
    claim, with_numbers = "", []
    for line in screen(page()).splitlines():
        claim = line.split()[0] if line.startswith("  ") and line[2:3].isalpha() else claim
        with_numbers += [claim] if line.startswith(" " * 6) and "T^" in line else []
    assert with_numbers == ["time.linear-forward", "memory.bptt-linear", "memory.attention-training"]


def test_a_name_longer_than_its_column_goes_on_after_its_slash() -> None:
    claim = "time.linear-forward"
    rows = [(claim, name, "abcdefghi", Verdict.supported, None, "") for name in ("attention", "gru")]
    others = [(claim, "attention", "other", Verdict.contradicted, None, "")]
    text = screen(page_of([*rows, *others]))
    assert cells_of(text, claim)[0] == "attention/ abcdefghi gru"


def test_many_claims_of_many_layers_fit_one_screen() -> None:
    text = screen(information_page(beside=processors_page()))
    assert len(text.splitlines()) <= 60
    assert all(len(line) <= WIDTH for line in text.splitlines())


@given(st.lists(st.tuples(st.text(max_size=90), verdicts, st.text(max_size=60)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_any_name_fits_the_screen_and_controls_nothing(
    found: list[tuple[str, tuple[Verdict, Reason | None], str]],
) -> None:
    unique = {name: (verdict, headline) for name, verdict, headline in found}
    made = page_of([("time.linear-forward", n, "a", *v, headline) for n, (v, headline) in unique.items()])
    for text in (screen(made), claims_text(made.judgements, made.claims)):
        assert all(len(line) <= WIDTH for line in text.split("\n"))
        assert all(c.isprintable() for line in text.split("\n") for c in line)


def pair(attention: list[float], gru: list[float], rounds: int = 9) -> Page:
    """Attention and gru with exactly these forward times at the first lengths."""
    lengths = LENGTHS[: len(gru)]
    found = page(
        layers=(GRU, ATTENTION), claims={"time.linear-forward": CLAIMS["time.linear-forward"]}, lengths=lengths
    )
    rows = []
    for row in found.table:
        times = attention if row.cell.layer == "attention" else gru
        value = times[lengths.index(row.cell.length)]
        samples = [Sample(value=value * (1 + 0.01 * (i % 3)), round=i) for i in range(rounds)]
        rows.append(Row(row.cell, Outcome(kind=OutcomeKind.ok), {"time": Observation.of("time", samples)}))
    return dataclasses.replace(found, table=Table(rows))


@pytest.mark.parametrize(
    ("attention", "gru", "says"),
    [
        ([1, 1, 1, 1], [2, 2, 2, 2], "none in 32..256"),
        ([1], [2], "one length measured"),
        ([1, 1, 4, 4], [2, 2, 2, 2], "between T=64 and 128"),
        ([1, 2, 2, 4], [2, 2, 2, 2], "between T=32 and 256"),  # ties between widen the bracket
        ([1, 1, 2, 2], [2, 2, 2, 2], "none up to 64, then a tie"),
        ([2, 2, 2, 2], [2, 2, 2, 2], "tie throughout 32..256"),
        ([1, 4, 1, 4], [2, 2, 2, 2], "between T=32 and 64, 64 and 128, 128 and 256"),
    ],
)
def test_a_crossover_is_a_bracket_of_measured_lengths(attention: list[float], gru: list[float], says: str) -> None:
    assert [r.crossover for r in rivalries(pair(attention, gru))] == [says]


def test_the_faster_layer_and_its_factor_agree_with_the_times() -> None:
    (rivalry,) = rivalries(pair([1.0, 2.0, 6.0], [2.0, 2.0, 2.0]))
    assert [rivalry.factor(r) for r in rivalry.ratios] == ["attention 2x [2, 2]", "tie 1x [1, 1]", "gru 3x [3, 3]"]


def test_the_interval_of_a_factor_rises_whoever_is_faster() -> None:
    rivalry = Rivalry("attention/a", "gru/b", ())
    assert rivalry.factor(Ratio(32, 0.5, 0.4, 0.8)) == "gru 2x [1.25, 2.5]"
    assert rivalry.factor(Ratio(32, 2.0, 1.25, 2.5)) == "attention 2x [1.25, 2.5]"


def test_a_comparison_keeps_to_one_scope() -> None:
    found = page(layers=(GRU, ATTENTION), claims={"time.linear-forward": CLAIMS["time.linear-forward"]})
    wide = [dataclasses.replace(row.cell, width=128) for row in found.table]
    more = dataclasses.replace(found, table=Table([*found.table, *map(measured, wide)]))
    assert rivalries(more) == rivalries(found)


def test_a_difference_under_the_noise_floor_is_a_tie() -> None:
    ratio = Ratio(64, 1.03, 1.02, 1.04)
    assert Rivalry("attention/a", "gru/b", (ratio,), 0.01).winner(ratio) == "attention/a"
    assert Rivalry("attention/a", "gru/b", (ratio,), 0.05).winner(ratio) == "tie"


def test_without_attention_nothing_is_compared() -> None:
    assert "FASTER" not in screen(page(layers=(GRU, LSTM)))


def test_a_rival_that_reaches_less_far_says_so_in_its_own_row() -> None:
    claims = {"time.linear-forward": CLAIMS["time.linear-forward"]}
    found = page(layers=(ELMAN, GRU, LSTM, ATTENTION), claims=claims)
    short = Table(row for row in found.table if row.cell.layer != "lstm" or row.cell.length <= 256)
    lines = screen(dataclasses.replace(found, table=short)).splitlines()
    (head,) = [line for line in lines if "crossover" in line]
    assert "at T=32 " in head and "at T=4096 " in head
    rows = {name: next(line for line in lines if line.startswith(f"{name}/")) for name in ("elman", "gru", "lstm")}
    assert "T=256: attention" in rows["lstm"]
    assert all("T=256" not in rows[name] and "T=4096:" not in rows[name] for name in ("elman", "gru"))


def test_claims_text_has_registration_and_verdicts() -> None:
    found = page(layers=(ELMAN, ATTENTION, OWN))
    text = claims_text(found.judgements, found.claims)
    for judgement in found.judgements:
        reason = f" ({judgement.reason.name}: {judgement.reason.value}" if judgement.reason else ""
        lengths, width = judgement.scope["lengths"], judgement.scope["width"]
        where = f"(T {lengths_text(lengths)}, d={width}, batch {judgement.scope['batch']})"
        line = f"- {judgement.layer}/{judgement.algorithm} {where}: {judgement.verdict.name}{reason}"
        assert line in text.replace("\n    ", " ")
    for claim in found.claims.values():
        assert claim.sentence in text


@given(st.lists(st.tuples(st.sampled_from(sorted(CLAIMS)), names, st.just("a"), verdicts), min_size=1, max_size=9))
@settings(deadline=None, max_examples=30)
def test_claims_text_begins_with_its_counts(rows: list[tuple[str, str, str, tuple[Verdict, Reason | None]]]) -> None:
    found = page_of([(*where, *verdict, "") for *where, verdict in rows])
    head, blank, *rest = claims_text(found.judgements, found.claims).splitlines()
    numbers = [int(n) for n in re.findall(r"\d+", head)]
    said = [verdict for *_, (verdict, _) in rows]
    assert numbers == [len({claim for claim, *_ in rows}), len(rows), *(said.count(v) for v in Verdict)]
    assert re.findall(r"[a-z]+", head)[2:] == [v.name for v in Verdict]
    assert blank == "" and rest[0].startswith(f"{rows[0][0]}: ")


def test_cells_that_failed_are_told_apart_by_the_conditions_that_differ() -> None:
    found = information_page(claims=("retrieval.recurrence-cannot", "retrieval.early-degrades"))
    rows = [
        broken(row.cell, OutcomeKind.failed, "the state is not finite") if row.cell.layer == "gru" else row
        for row in found.table
    ]
    text = status_text(Table(rows))
    for pairs in (4, 16):
        assert f"gru/library recall forward pairs={pairs} T={2 * pairs} (1 cell): failed, the state is not" in text
    assert "symbols=" not in text and "steps=" not in text


def test_status_names_what_is_left_and_the_cure_of_what_failed() -> None:
    cells = [row.cell for row in page(layers=(GRU,)).table]
    rows = [measured(cells[0]), broken(cells[1], OutcomeKind.crashed, "signal 11"), Row(cells[2], None)]
    text = status_text(Table(rows))
    assert "3 cells: 1 ok, 1 crashed, 1 left." in text
    assert "signal 11" in text and OutcomeKind.crashed.cure in text
    assert status_text(Table(())) == "no cells.\n"


def test_a_page_without_questions_says_so() -> None:
    text = screen(page_of([]))
    assert "0 supported, 0 contradicted, 0 undecided" in text


def test_the_synthetic_truth_is_what_the_pages_hold() -> None:
    row = next(row for row in page(layers=(GRU,)).table if row.cell.probe == "time")
    assert row.observations["time"].value == pytest.approx(value_of(row.cell), rel=0.05)
