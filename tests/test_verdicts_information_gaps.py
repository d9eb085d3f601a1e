"""No verdict comes from what was not measured, failed, or cannot be read; the reason says which it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from information_tables import CHANCE, TRUTHS, ask, changed, judge, layer_of, reading, table, without

from seqscale.rows import Outcome, OutcomeKind, Row, Table
from seqscale.verdicts.base import Kind, Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS

SUPPORTED, CONTRADICTED, UNDECIDED = Verdict.supported, Verdict.contradicted, Verdict.undecided
REPLICATED = [name for name, truth in TRUTHS.items() if truth.noise]
GAPS = (None, *(kind for kind in OutcomeKind if kind is not OutcomeKind.ok))
LEFT_OUT = {"width.capacity-grows"}  # claims with cells beside them that no verdict waits for


def right_table(claim, extent=None):
    question = ask(claim, layer_of(claim), extent)
    return question, table(question, TRUTHS[claim], TRUTHS[claim].right)


def gap(kind):
    outcome = None if kind is None else Outcome(kind=kind, reason="why", needed_s=3.0)
    return lambda row: Row(row.cell, outcome)


@pytest.mark.parametrize("kind", GAPS)
@pytest.mark.parametrize("claim", TRUTHS)
def test_one_cell_that_is_missing_or_failed_is_never_support(claim, kind):
    question, rows = right_table(claim)
    for cell in CLAIMS[claim].requires(question):
        found = CLAIMS[claim].judge(question, changed(rows, lambda c, cell=cell: c == cell, gap(kind)))
        assert found.verdict is UNDECIDED, cell.label()
        assert cell in found.missing
        if kind in (None, OutcomeKind.skipped):
            assert found.reason is Reason.budget
        elif cell.probe == "calibration":
            assert found.reason is Reason.instrument and cell.algorithm in found.statement
        else:
            assert found.reason in (Reason.unanswerable, Reason.control) and kind.name in found.statement


@pytest.mark.parametrize("claim", [name for name in REPLICATED if CLAIMS[name].kind is Kind.universal])
def test_a_counterexample_stands_without_the_other_cells_and_without_controls(claim):
    question = ask(claim, layer_of(claim), "full")
    rows = table(question, TRUTHS[claim], TRUTHS[claim].wrong)
    against = CLAIMS[claim].judge(question, rows)
    assert against.verdict is CONTRADICTED
    beside = set(CLAIMS[claim].beside(question))
    assert CLAIMS[claim].judge(question, changed(rows, beside.__contains__, gap(None))).verdict is CONTRADICTED
    for cell in CLAIMS[claim].cells(question):
        found = CLAIMS[claim].judge(question, changed(rows, lambda c, cell=cell: c == cell, gap(None)))
        assert found.verdict is CONTRADICTED or cell in found.missing


def test_the_katas_own_sizes_may_be_missing():
    claim = "width.capacity-grows"
    question, rows = right_table(claim, "full")
    beside = set(CLAIMS[claim].beside(question))
    found = CLAIMS[claim].judge(question, changed(rows, beside.__contains__, gap(OutcomeKind.timed_out)))
    assert found.verdict is SUPPORTED and "kata" not in found.statement


BROKEN = (
    None, "", "null", "[]", "{}", "{", '{"curves": 3, "facts": {}}', '{"curves": [1], "facts": {}}',
    '{"curves": [{"name": 1}], "facts": {}}', '{"curves": [], "facts": 7}',
    '{"curves": [{"name": "found", "quantity": "bread", "by": "t", "x": [1], "values": [[1]], "exact": false}], '
    '"facts": {}}',
    '{"curves": [{"name": "found", "quantity": "token_bits", "by": "t", "x": "a", "values": [["b"]], "exact": false}], '
    '"facts": {}}',
)  # fmt: skip


@pytest.mark.parametrize("document", BROKEN)
@pytest.mark.parametrize("claim", REPLICATED)
def test_a_broken_document_is_no_verdict(claim, document):
    question, rows = right_table(claim)
    broken = changed(rows, lambda cell: cell.probe != "calibration", lambda row: replace(row, document=document))
    found = CLAIMS[claim].judge(question, broken)
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument), found.statement


@given(data=st.data())
@pytest.mark.parametrize("claim", ["information.state-is-bounded", "retrieval.early-degrades", "segments.no-retrieval"])
def test_a_document_that_was_cut_raises_nothing_and_decides_nothing(claim, data):
    question, rows = right_table(claim)
    (cell, *_) = CLAIMS[claim].cells(question)
    whole = rows.row(cell).document
    start = data.draw(st.integers(0, len(whole)))
    document = whole[:start] + whole[data.draw(st.integers(start, min(len(whole), start + 40))) :]
    found = CLAIMS[claim].judge(question, changed(rows, cell.__eq__, lambda row: replace(row, document=document)))
    try:
        json.loads(document)
    except ValueError:
        assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)


def dropped_curve(row, name):
    record = json.loads(row.document)
    record["curves"] = [curve for curve in record["curves"] if curve["name"] != name]
    return replace(row, document=json.dumps(record))


def lost_replicate(row, name):
    record = json.loads(row.document)
    for curve in record["curves"]:
        if curve["name"] == name:
            curve["values"] = [values[:-1] for values in curve["values"]]
    return replace(row, document=json.dumps(record))


READ = {
    "information.first-token-fades": ("first token", "found", "bound"),
    "information.state-is-bounded": ("found", "bound"),
    "information.recent-dominates": ("bits", "found"),
    "segments.funnel": ("found", "bound"),
    "gradient.vanishes-recurrent": ("gradient",),
    "retrieval.attention-regardless-of-length": ("accuracy",),
    "retrieval.attention-regardless-of-distance": ("accuracy by distance",),
}


@pytest.mark.parametrize("change", [dropped_curve, lost_replicate])
@pytest.mark.parametrize(("claim", "curve"), [(claim, curve) for claim, names in READ.items() for curve in names])
def test_a_curve_that_is_not_whole_is_no_verdict(claim, curve, change):
    question, rows = right_table(claim)
    lacking = changed(rows, lambda cell: cell.probe != "calibration", lambda row: change(row, curve))
    found = CLAIMS[claim].judge(question, lacking)
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
    assert curve in found.statement or "cannot be read" in found.statement


USED = {
    "information.first-token-fades": ("shuffled_bits", "leaked_bits"),
    "information.recent-dominates": ("recent_share", "token_bits"),
    "information.state-is-bounded": ("state_numbers",),
    "width.capacity-grows": ("token_bits", "state_numbers"),
    "retrieval.early-degrades": ("early_accuracy", "keyless_accuracy"),
    "retrieval.recurrence-cannot": ("accuracy", "keyless_accuracy"),
    "segments.funnel": ("swap_bits", "identity_error", "swap_error", "bound_bits"),
    "segments.no-retrieval": ("carried_accuracy", "reset_accuracy", "keyless_accuracy"),
    "truncation.caps-learning": ("r2",),
}


@pytest.mark.parametrize(("claim", "name"), [(claim, name) for claim, names in USED.items() for name in names])
def test_a_reading_that_is_left_out_is_no_verdict(claim, name):
    question, rows = right_table(claim)
    found = CLAIMS[claim].judge(question, changed(rows, lambda cell: cell.probe != "calibration", without(name)))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.unanswerable) and name in found.statement
    few = changed(rows, lambda cell: cell.probe != "calibration", lambda row: reading(name, 1.0, 1.0)(row))
    assert CLAIMS[claim].judge(question, few).reason is Reason.unanswerable


def test_a_note_of_the_probe_says_why_a_reading_is_left_out():
    question, rows = right_table("segments.no-retrieval")
    told = Outcome(kind=OutcomeKind.ok, reason="the layer cannot carry a state")
    mute = changed(
        rows, lambda c: c.layer == "gru", lambda row: replace(without("carried_accuracy")(row), outcome=told)
    )
    assert "the layer cannot carry a state" in CLAIMS[question.claim].judge(question, mute).statement


@pytest.mark.parametrize("claim", [name for name in REPLICATED if CLAIMS[name].checks])
def test_a_failed_check_of_the_instrument_undoes_every_verdict(claim):
    for effect in (TRUTHS[claim].right, TRUTHS[claim].wrong):
        question = ask(claim, layer_of(claim))
        rows = table(question, TRUTHS[claim], effect)
        for check in CLAIMS[claim].checks:
            off = changed(rows, lambda c, check=check: c.algorithm == check, reading("calibration_error", 1.7))
            found = CLAIMS[claim].judge(question, off)
            assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
            assert check in found.statement and found.headline and found.curves  # the numbers stay to be seen


@pytest.mark.parametrize(
    ("claim", "name", "values"),
    [
        ("retrieval.recurrence-cannot", "accuracy", (CHANCE,) * 5),
        ("retrieval.recurrence-cannot", "accuracy", (1.0, 1.0, 0.89, 1.0, 0.89)),
        ("segments.no-retrieval", "carried_accuracy", (0.97, 0.4, 0.97, 0.97, 0.4)),
        ("truncation.caps-learning", "r2", (0.997, 0.010, 0.418, 0.99, 0.99)),
    ],
)
def test_a_control_that_fails_leaves_cannot_undecided(claim, name, values):
    question, rows = right_table(claim)
    beside = set(CLAIMS[claim].beside(question))
    found = CLAIMS[claim].judge(question, changed(rows, beside.__contains__, reading(name, *values)))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.control)
    assert f"reaches 0.9 in {sum(v >= 0.9 for v in values)} of 5 replicates" in found.statement


def test_what_was_never_learned_cannot_degrade():
    question = ask("retrieval.early-degrades")
    rows = table(question, TRUTHS["retrieval.early-degrades"], 0.0)
    chance = changed(rows, lambda cell: cell.probe == "recall", reading("accuracy", CHANCE))
    found = CLAIMS[question.claim].judge(question, chance)
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.control)


SPREAD = (0.020, 0.0199, 0.0201, 0.020, 0.0202)


@pytest.mark.parametrize(
    ("claim", "name", "values", "fault"),
    [
        ("information.first-token-fades", "shuffled_bits", SPREAD, True),
        ("information.first-token-fades", "leaked_bits", SPREAD, True),
        ("information.first-token-fades", "shuffled_bits", tuple(-v for v in SPREAD), False),
        ("information.state-is-bounded", "shuffled_bits", (0.02, -0.02, 0.01, 0.0, -0.01), False),
        ("segments.funnel", "identity_error", (0, 0, 0, 0, 2e-6), True),
        ("segments.funnel", "identity_error", (9e-7,), False),
        ("segments.funnel", "swap_error", (2e-6,), True),
        ("segments.funnel", "swap_bits", (0.06,), True),
        ("segments.funnel", "swap_bits", (0.2, -0.2, 0.2, -0.2, 0.0), True),
        ("segments.funnel", "swap_bits", (0.001,), False),
    ],
)
def test_a_control_of_the_instrument_must_be_zero(claim, name, values, fault):
    question, rows = right_table(claim)
    found = CLAIMS[claim].judge(question, changed(rows, lambda c: c.probe != "calibration", reading(name, *values)))
    if not fault:
        assert found.verdict is SUPPORTED
    else:
        assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
        assert name in found.statement or "swapped" in found.statement


@pytest.mark.parametrize("claim", ["information.state-is-bounded", "information.first-token-fades", "segments.funnel"])
def test_more_bits_than_can_be_are_the_instruments_fault(claim):
    question, rows = right_table(claim)

    def less(row):
        record = json.loads(row.document)
        for curve in record["curves"]:
            if curve["name"] == "bound":
                curve["values"] = [[0.9 * v for v in values] for values in curve["values"]]
        return replace(row, document=json.dumps(record))

    found = CLAIMS[claim].judge(question, changed(rows, lambda c: c.probe != "calibration", less))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
    assert "more than can be" in found.statement


def test_an_output_that_depends_on_nothing_before_it_has_no_gradient_to_vanish():
    question, rows = right_table("gradient.vanishes-recurrent")

    def still(row):
        record = json.loads(row.document)
        record["curves"][0]["values"] = [[1.0] * 5] + [[0.0] * 5] * 63
        return replace(row, document=json.dumps(record))

    found = CLAIMS[question.claim].judge(question, changed(rows, lambda c: c.probe != "calibration", still))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.unanswerable)


def test_nothing_kept_has_no_ratio():
    for claim in ("truncation.saves-memory", "segments.saves-memory"):
        question, rows = right_table(claim)
        found = CLAIMS[claim].judge(question, changed(rows, lambda c: c.mode == "training", reading("saved_bytes", 0)))
        assert (found.verdict, found.reason) == (UNDECIDED, Reason.unanswerable)


@given(
    values=st.lists(st.floats(-5, 5), min_size=5, max_size=5), other=st.lists(st.floats(0, 1), min_size=5, max_size=5)
)
def test_any_bits_are_judged_without_an_error(values, other):
    for claim in ("information.decays-per-hop", "width.capacity-grows", "information.recent-dominates"):
        question, rows = right_table(claim)
        for name, given_values in (("token_bits", values), ("recent_share", other)):
            rows = changed(rows, lambda c: c.probe == "token-bits", reading(name, *given_values))
        assert CLAIMS[claim].judge(question, Table(rows)).verdict in Verdict


def test_every_claim_says_why_it_waits():
    for claim in TRUTHS:
        question = ask(claim, layer_of(claim))
        found = CLAIMS[claim].judge(question, Table(()))
        assert (found.verdict, found.reason) == (UNDECIDED, Reason.budget)
        assert set(found.missing) <= set(CLAIMS[claim].requires(question)) and found.missing
    assert judge("segments.funnel", 0.0).verdict is SUPPORTED
