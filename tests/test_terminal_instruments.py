"""What the terminal says of the instruments' checks: one line beside layers, a table where nothing else was asked."""

from __future__ import annotations

import dataclasses
import re

from information_pages import FAILED_CHECK, information_page

from seqscale.probes.information import CHECKS
from seqscale.reporting.model import Page
from seqscale.reporting.terminal import claims_text, first_screen
from seqscale.rows import Observation, Row, Sample, Table


def screen(found: Page) -> str:
    return first_screen(found, store="s.db", report="r.html")


def test_instruments_have_one_line_and_are_no_layer() -> None:
    lines = screen(information_page(claims=("information.first-token-fades", "instrument.known-values"))).splitlines()
    said = f"instruments: 10 of 11 checks passed; not: {FAILED_CHECK} (1.8 times what is allowed)."
    assert [line for line in lines if "instrument" in line] == [said]
    assert "11 of 11" not in "".join(lines) and any("of 11" in line for line in lines)


def test_a_study_of_instruments_alone_lists_every_check() -> None:
    text = screen(information_page(claims=("instrument.known-values",)))
    listed = [line.split() for line in text.splitlines() if line.startswith("  ")]
    assert [(line[0], line[2]) for line in listed] == [
        (name, "FAILED" if name == FAILED_CHECK else "passed") for name in CHECKS
    ]
    assert "0 supported" not in text


def test_errors_of_checks_stand_in_one_column_however_small() -> None:
    found = information_page(claims=("instrument.known-values",))
    errors = (2.22e-07, 0.0, 0.123, 1.8, 1.23e5)
    rows = []
    for row, error in zip(found.table, errors * len(CHECKS), strict=False):
        seen = Observation.of("calibration_error", [Sample(value=error)])
        rows.append(dataclasses.replace(row, observations={"calibration_error": seen}))
    text = screen(dataclasses.replace(found, table=Table(rows)))
    listed = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in CHECKS]
    assert len(listed) == len(CHECKS) and "2.22e-07  passed" in text and "1.23e+05  FAILED" in text
    ends = {re.match(r"  \S+ +\S+  (?:passed|FAILED) +", line).end() for line in listed}  # type: ignore[union-attr]
    assert len(ends) == 1
    wrapped = [line for line in text.splitlines() if line.startswith(" " * 20)]
    assert all(len(line) - len(line.lstrip()) in ends for line in wrapped)


def test_a_study_of_instruments_alone_has_no_width_and_no_lengths() -> None:
    head = screen(information_page(claims=("instrument.known-values",))).splitlines()[0]
    assert head.startswith("seqscale ") and "float32" in head
    assert "width" not in head and " T " not in head


def test_width_and_lengths_are_those_that_layers_were_asked_at() -> None:
    alone = information_page(claims=("information.first-token-fades",))
    both = information_page(claims=("information.first-token-fades", "instrument.known-values"))
    asked_elsewhere = [
        dataclasses.replace(q, scope=dataclasses.replace(q.scope, width=999, lengths=(7, 9999)))
        if q.claim == "instrument.known-values"
        else q
        for q in both.questions
    ]
    both = dataclasses.replace(both, questions=tuple(asked_elsewhere))
    assert screen(both).splitlines()[0] == screen(alone).splitlines()[0]


def test_a_check_that_was_not_measured_is_not_passed() -> None:
    found = information_page(claims=("information.first-token-fades", "instrument.known-values"))
    rows = [Row(row.cell, None) if row.cell.algorithm == "lyapunov" else row for row in found.table]
    assert "instruments: 9 of 11 checks passed; not: lyapunov (left), training" in screen(
        dataclasses.replace(found, table=Table(rows))
    )


def test_claims_of_instruments_have_no_lengths() -> None:
    found = information_page(claims=("instrument.known-values",))
    text = claims_text(found.judgements, found.claims)
    assert text.count("  - instrument/") == len(CHECKS)
    assert "(T " not in text
