"""The claim on decoding memory: what is carried from one token to the next does not grow."""

from __future__ import annotations

from typing import final

from seqscale.fit.exact import exact_law
from seqscale.fit.power import fit_power
from seqscale.fit.verdict import equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Table
from seqscale.units import format_bytes
from seqscale.verdicts.base import AbstractClaim, Curve, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import (
    FEWEST_LENGTHS,
    curve_points,
    degree,
    judgement,
    loop_lengths,
    points_of,
    undecided_for_cells,
    untimed_launcher,
)


@final
class DecodeState(AbstractClaim):
    """The bytes of the state after T tokens, read off the state itself, beside the layer's own law."""

    id = "memory.decode-state"
    takeaway = 3
    sentence = "What a layer must carry to decode the next token does not grow with the context."
    kind = Kind.equivalence
    estimand = "d log state bytes / d log T, against 0"
    delta = 0.02

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer; one that carries no state is `unsupported`."""
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return counts in mode decode; a loop's state is that of its other algorithms, so a few lengths do."""
        version = PROBES["count"].version
        return tuple(
            question.scope.cell(
                "count",
                version,
                question.layer,
                algorithm=question.algorithm,
                mode="decode",
                length=length,
                launcher=untimed_launcher(question),
            )
            for length in loop_lengths(question)
        )

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge the exponent of the state's bytes; a state that differs from the layer's own law is at fault."""
        rows = table.rows_of(self.requires(question))
        seen = tuple(row for row in rows if row.ok)
        if len(seen) < FEWEST_LENGTHS:
            return undecided_for_cells(self, question, rows)
        law = exact_law([({"T": r.cell.length}, int(r.observations["state_bytes"].value)) for r in seen])
        if law is not None:
            p = degree(law)
            interval = (p, p, p, p)
            said, headline = f"{law.text('B')}, exact", f"state T^{p:.3g}, exact"
        else:
            power = fit_power(points_of(seen, "state_bytes"))
            interval = (power.p_low90, power.p_high90, power.p_low, power.p_high)
            said, headline = f"{power.text()} B", f"state T^{power.p:.2f}"
        verdict = Verdict[equivalence(*interval, 0.0, self.delta).name]
        reason = Reason.noise if verdict is Verdict.undecided else None
        differing = [
            row.cell.length
            for row in seen
            if "state_elements" in row.observations
            and row.observations["state_elements"].value * _element_bytes(question) * question.scope.batch
            != row.observations["state_bytes"].value
        ]
        statement = f"state bytes = {said}; {format_bytes(seen[-1].observations['state_bytes'].value)} after T = "
        statement += f"{seen[-1].cell.length}"
        if differing:
            verdict, reason = Verdict.undecided, Reason.instrument
            statement += f"; the layer's own state_elements says otherwise at T = {differing[0]}"
        curve = Curve(
            label=f"{question.layer.name}/{question.algorithm}",
            quantity="state_bytes",
            x_name="length",
            points=curve_points(seen, "state_bytes"),
            law=() if law is None else tuple((float(r.cell.length), float(law.value(T=r.cell.length))) for r in seen),
            law_text=said,
            exact=True,
        )
        return judgement(
            self,
            question,
            verdict,
            statement,
            reason=reason,
            headline=headline,
            evidence={"law": {"text": said, "unit": "B"}, "own_law_differs_at": differing},
            curves=(curve,),
            missing=(row for row in rows if not row.ok),
        )


def _element_bytes(question: Question) -> int:
    return {"float32": 4, "float64": 8, "bfloat16": 2}[question.scope.dtype]
