"""Claims on what a state remembers, on tables whose truth is known: every verdict can come out, at the stated level."""

from __future__ import annotations

import json

import pytest
from information_tables import PATIENT, TRUTHS, ask, judge, layer_of, table, token_bits
from scipy import stats

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import INSTRUMENT, PROBES
from seqscale.probes.information import CHECKS
from seqscale.records import Question
from seqscale.verdicts import retrieval, tokens, truncation
from seqscale.verdicts.base import Kind, Reason, Stream, Verdict
from seqscale.verdicts.catalogue import CLAIMS
from seqscale.verdicts.replicated import AbstractReplicated

SUPPORTED, CONTRADICTED, UNDECIDED = Verdict.supported, Verdict.contradicted, Verdict.undecided
REPLICATED = [name for name, truth in TRUTHS.items() if truth.noise]
EXTENTS = ("quick", "full")


def test_every_claim_of_this_half_has_a_truth():
    new = {name for name, claim in CLAIMS.items() if not claim.costs}
    assert new == {*TRUTHS, "instrument.known-values"}


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("claim", TRUTHS)
def test_both_verdicts_can_come_out(claim, extent):
    truth = TRUTHS[claim]
    right, wrong = judge(claim, truth.right, extent=extent), judge(claim, truth.wrong, extent=extent)
    assert wrong.verdict is CONTRADICTED, wrong.statement
    if extent == "quick" and claim in PATIENT:
        assert (right.verdict, right.reason) == (UNDECIDED, Reason.training), right.statement
    else:
        assert right.verdict is SUPPORTED, right.statement


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("claim", TRUTHS)
def test_the_scope_is_that_of_the_cells_that_were_judged(claim, extent):
    question, registered = ask(claim, layer_of(claim), extent=extent), CLAIMS[claim]
    # the others keep beside them what is only told, as the kata's own sizes
    cells = registered.cells(question) if isinstance(registered, AbstractReplicated) else registered.requires(question)
    scope = judge(claim, TRUTHS[claim].right, extent=extent).scope
    assert scope["lengths"] == [min(c.length for c in cells), max(c.length for c in cells)]
    assert (scope["width"], scope["batch"]) == (cells[0].width, cells[0].batch)


@pytest.mark.parametrize("claim", REPLICATED)
def test_at_the_bound_or_in_noise_nothing_is_decided(claim):
    truth = TRUTHS[claim]
    for edge in truth.edges:
        found = [judge(claim, edge, seed=seed).verdict for seed in range(20)]
        assert found.count(UNDECIDED) >= 14, edge
    loud = judge(claim, truth.right, noise=200 * truth.noise)
    assert loud.verdict is UNDECIDED and loud.reason in (Reason.replicates, Reason.control, Reason.instrument)


@pytest.mark.parametrize("count", (3, 5, 8, 16))
@pytest.mark.parametrize(
    ("claim", "edge", "wrong", "level"),
    [
        ("information.first-token-fades", 0.2, SUPPORTED, 0.025),
        ("information.first-token-fades", 0.2, CONTRADICTED, 0.025),
        ("information.state-is-bounded", 0.05, SUPPORTED, 0.05),
        ("information.state-is-bounded", -0.05, CONTRADICTED, 0.025),
        ("truncation.caps-learning", 0.1, SUPPORTED, 0.05),
        ("truncation.caps-learning", 0.1, CONTRADICTED, 0.025),
    ],
)
def test_whole_tables_err_no_more_than_the_level(claim, edge, wrong, level, count, monkeypatch):
    monkeypatch.setattr(tokens, "REPLICATES", {"quick": count})
    budget = {"full": {**truncation.BUDGET["full"], "replicates": count}}
    monkeypatch.setattr(truncation, "BUDGET", budget)
    tables = 100
    errors = sum(judge(claim, edge, seed=seed).verdict is wrong for seed in range(tables))
    assert errors <= stats.binom.ppf(0.999, tables, level)


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("claim", [name for name, claim in CLAIMS.items() if not claim.costs])
def test_a_claim_is_registered_whole(claim, extent):
    asked = CLAIMS[claim]
    assert asked.stream is (
        Stream.study if claim in ("truncation.saves-memory", "segments.saves-memory") else Stream.tokens
    )
    assert asked.sentence.endswith(".") and asked.estimand and asked.delta > 0 and asked.takeaway in range(5)
    assert asked.every_algorithm == (asked.subject is not None)
    for name, layer in {**LAYERS, "instrument": INSTRUMENT}.items():
        if not asked.applies(layer):
            continue
        cells = asked.requires(ask(claim, name, extent))
        assert len({cell.id for cell in cells}) == len(cells) > 0
        for cell in cells:
            spec = PROBES[cell.probe]
            assert (cell.probe_version, cell.threads) == (spec.version, 1 if spec.name != "count" else cell.threads)
            assert cell.conditions == spec.settle(dict(cell.conditions), cell.length, cell.width)
            assert cell.mode in spec.modes and cell.launcher == "fork"
            assert cell.algorithm in {**LAYERS, "instrument": INSTRUMENT}[cell.layer].algorithms
            hidden = dict(cell.options).get("hidden")
            assert cell.probe == "count" or (hidden is not None) == (spec_of(cell).widen == "hidden")
            assert hidden is None or hidden >= cell.width
        checks = [cell.algorithm for cell in cells if cell.probe == "calibration"]
        assert set(checks) <= set(CHECKS)


def spec_of(cell):
    return {**LAYERS, "instrument": INSTRUMENT}[cell.layer]


@pytest.mark.parametrize("claim", [name for name, claim in CLAIMS.items() if not claim.costs])
def test_what_is_said_has_units_and_can_be_drawn(claim):
    if claim in TRUTHS:
        found = judge(claim, TRUTHS[claim].right)
        assert found.headline and found.curves
        assert "reversed" not in found.statement
        numbers = dict(walk(found.evidence))
        assert all("unit" in parent for key, parent in numbers.items() if key.endswith(".value"))
        assert any(key.endswith(".value") for key in numbers)
        json.dumps(found.record(), allow_nan=False)
        for curve in found.curves:
            assert [point.x for point in curve.points] == sorted({point.x for point in curve.points})
            assert all(point.low <= point.y <= point.high for point in curve.points)


def walk(value, path=""):
    """Yield (path, the dictionary it is in) for every entry of nested data."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}", value
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from walk(inner, f"{path}[{i}]")


def test_the_scope_is_that_of_the_cells_and_is_said():
    found = judge("information.first-token-fades", 2.0)
    assert found.scope["lengths"] == [32, 32] and found.scope["threads"] == 1
    assert found.scope["options"] == {"hidden": 16}
    assert found.statement.endswith("state of 16 numbers, T = 32, V = 8, noise 0.01, 5 replicates")
    trained = judge("retrieval.early-degrades", 0.4)
    assert "T = 4, 8, V = 4, K = 2, 400 steps, rates 0.01,0.03, 3 replicates" in trained.statement
    assert trained.scope["width"] == 16 and trained.scope["lengths"] == [4, 8]


@pytest.mark.parametrize(
    ("effect", "words"), [(0.0, "below the 0.2 that would matter"), (-1.0, "reversed"), (2.0, "less")]
)
def test_a_failed_average_says_whether_it_is_reversed(effect, words):
    assert words in judge("information.first-token-fades", effect).statement


def test_a_universal_sentence_names_what_contradicts_it():
    found = judge("truncation.caps-learning", 0.9)
    assert "k = 1, state carried, only the readout trained, R^2: 0.8" in found.statement
    assert ", which contradicts" in found.statement
    assert found.evidence["contradicting"] == ["L = 12, k = 1, state carried, only the readout trained, R^2"]
    assert "what holds: with the state reset nothing beyond the window is learned" in found.statement
    longer = judge("retrieval.attention-regardless-of-length", 0.5)
    assert longer.evidence["contradicting"] == ["16 against 4096 keys"]
    assert "takes 2.71 of 16 and 8.32 of 4,096" in longer.statement


@pytest.mark.parametrize("layer", retrieval.GIVEN)
def test_layers_that_take_keys_are_asked_with_orthonormal_ones_too(layer):
    cells = CLAIMS["retrieval.recurrence-cannot"].requires(ask("retrieval.recurrence-cannot", layer, "quick"))
    forms = [dict(cell.conditions)["form"] for cell in cells if cell.layer == layer]
    assert forms == ["trained", "constructed"]
    plain = CLAIMS["retrieval.recurrence-cannot"].requires(ask("retrieval.recurrence-cannot", "gru", "quick"))
    assert [dict(cell.conditions)["form"] for cell in plain if cell.layer == "gru"] == ["trained"]


def test_claims_share_their_cells():
    """T = 32 and T = 100 serve five claims, one trained cell three; a check is one cell for all layers and widths."""
    information = [name for name in CLAIMS if name.startswith(("information.", "width.capacity"))]
    assert len(cells_of(information, "gru", "token-bits")) == 3
    assert (
        len(cells_of([n for n in CLAIMS if n.startswith(("retrieval.", "segments."))], "gru", "recall", extent="quick"))
        == 3
    )
    assert len(cells_of(TRUTHS, "gru", "calibration")) == len(
        cells_of(TRUTHS, "gru", "calibration") | cells_of(TRUTHS, "elman", "calibration", width=64, dtype="float64")
    )


def cells_of(claims, layer, probe, **scope):
    return {
        cell.id
        for claim in claims
        if CLAIMS[claim].applies(LAYERS[layer])
        for cell in CLAIMS[claim].requires(ask(claim, layer, **scope))
        if cell.probe == probe
    }


def test_a_users_own_sizes_are_kept():
    own = ask("information.first-token-fades", "gru", options=(("hidden", 40),), width=24)
    (cell, *_) = CLAIMS[own.claim].requires(own)
    assert dict(cell.options)["hidden"] == 40 and cell.width == 24
    wide = ask("information.first-token-fades", "gru", width=64)
    assert dict(CLAIMS[wide.claim].requires(wide)[0].options)["hidden"] == 64
    thin = ask("information.first-token-fades", "gru", width=2)
    assert CLAIMS[thin.claim].requires(thin)[0].width == 8  # a feature for each symbol


def test_the_katas_own_doubling_is_said_beside_the_verdict():
    found = judge("width.capacity-grows", 0.9, extent="full")
    assert "at the kata's sizes as N^" in found.statement
    assert len(found.curves) == 2


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("error", "verdict"), [(0.2, SUPPORTED), (1.0, SUPPORTED), (1.01, CONTRADICTED)])
def test_a_check_of_the_instrument(check, error, verdict):
    from information_tables import Seen

    from seqscale.rows import Table

    claim, question = CLAIMS["instrument.known-values"], known(check)
    rows = Table(Seen({"calibration_error": [error]}).row(cell) for cell in claim.requires(question))
    assert claim.judge(question, rows).verdict is verdict


def known(check):
    asked = ask("instrument.known-values", "instrument")
    return Question(claim=asked.claim, layer=asked.layer, algorithm=check, scope=asked.scope)


def test_a_message_that_never_arrives_and_a_state_without_bits_are_no_verdicts():
    lost = judge("information.decays-per-hop", 1.0)
    assert lost.verdict is SUPPORTED and "half is lost within 99 steps" in lost.statement
    kept = judge("information.decays-per-hop", 0.0)
    assert "half is still there after 99 steps" in kept.statement
    question = ask("information.decays-per-hop")
    truth = TRUTHS["information.decays-per-hop"]
    none = type(truth)(lambda cell, effects: token_bits(cell, first={2: [0.0] * 5, 100: [0.0] * 5}), 0, 0, 0)
    found = CLAIMS[question.claim].judge(question, table(question, none, 0.0))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.control)
    assert layer_of("gradient.direct-attention") == "attention" and CLAIMS[question.claim].kind is Kind.average
