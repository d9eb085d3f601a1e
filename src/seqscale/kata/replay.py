"""The whole replay: constants in, a frozen result out, with its JSON record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from seqscale.kata import findings, sections
from seqscale.kata.constants import KataConstants
from seqscale.kata.findings import Finding
from seqscale.kata.network import Spectrum, build, spectrum

UNITS = {
    "input_size": "numbers",
    "hidden_size": "numbers",
    "seed_h": "1",
    "seed_x": "1",
    "scale_h": "1",
    "scale_x": "1",
    "lengths": "tokens",
    "token_count": "tokens",
    "encoded": "tokens",
    "retrieval_length": "tokens",
    "positions": "position",
    "parallel_lengths": "tokens",
    "cores": "cores",
    "memory_lengths": "tokens",
    "memory_hidden": "numbers",
    "layers": "layers",
    "batch": "sequences",
    "example_length": "tokens",
    "example_hidden": "numbers",
    "dims": "numbers",
    "dims_lengths": "tokens",
    "picture_steps": "steps",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KataResult:
    """Every section's rows, and the line that each one's numbers give.

    `retrieval` holds every position of the sequence; `printed_retrieval` those that the constants ask for.
    """

    constants: KataConstants
    spectrum: Spectrum
    forward: tuple[sections.ForwardRow, ...]
    bottleneck: tuple[sections.BottleneckRow, ...]
    retrieval: tuple[sections.RetrievalRow, ...]
    parallel: tuple[sections.ParallelRow, ...]
    memory: tuple[sections.MemoryRow, ...]
    memory_example: sections.MemoryRow
    dims_per_token: tuple[sections.DimsRow, ...]
    findings: tuple[Finding, ...]

    @property
    def printed_retrieval(self) -> tuple[sections.RetrievalRow, ...]:
        """The rows at the positions that the constants ask for."""
        return tuple(self.retrieval[position] for position in self.constants.positions)

    def finding(self, section: str) -> Finding:
        """Return the line of one section, named by its key in the record."""
        return next(finding for finding in self.findings if finding.section == section)

    def record(self) -> dict[str, Any]:
        """Return the result as JSON-ready data: first the reference's keys, then our own, each number with its unit."""
        return self._reference_record() | self._own_record()

    def _reference_record(self) -> dict[str, Any]:
        constants = self.constants
        return {
            "input_size": constants.input_size,
            "hidden_size": constants.hidden_size,
            "w_h_seed": constants.seed_h,
            "w_x_seed": constants.seed_x,
            "forward": [{"seq_len": row.length, "final_hidden": list(row.final_hidden)} for row in self.forward],
            "bottleneck": [
                {
                    "encoded": row.encoded,
                    "first_token_sim": row.first_similarity,
                    "most_similar": row.most_similar,
                    "most_similar_sim": row.best_similarity,
                }
                for row in self.bottleneck
            ],
            "retrieval": [
                {"position": row.position, "distance": row.distance, "sim": row.similarity}
                for row in self.printed_retrieval
            ],
            "parallel": [
                {
                    "seq_len": row.length,
                    "rnn_steps": row.rnn_steps,
                    "attn_steps": row.attention_steps,
                    "speedup": row.factor,
                }
                for row in self.parallel
            ],
            "bptt_bytes": [
                {"seq_len": length} | {f"h{row.hidden}": row.layer_bytes for row in self.memory if row.length == length}
                for length in constants.memory_lengths
            ],
        }

    def _own_record(self) -> dict[str, Any]:
        return {
            "constants": {
                name: _measure(value, UNITS[name]) for name, value in dataclasses.asdict(self.constants).items()
            },
            "w_h": {
                "rank": _measure(self.spectrum.rank, "1"),
                "spectral_radius": _measure(self.spectrum.radius, "1"),
            },
            "forward_time": [
                {
                    "seq_len": _measure(row.length, "tokens"),
                    "time": _measure(row.seconds, "s"),
                    "time_per_step": _measure(row.seconds_per_step, "s"),
                    "fused_time": _measure(row.fused_seconds, "s"),
                    "fused_time_per_step": _measure(row.fused_seconds_per_step, "s"),
                }
                for row in self.forward
            ],
            "last_token_rank": [
                {
                    "encoded": _measure(row.encoded, "tokens"),
                    "rank": _measure(row.last_rank, "rank"),
                    "different_tokens": _measure(row.distinct, "tokens"),
                }
                for row in self.bottleneck
            ],
            "memory_whole_model": [_memory_record(row) for row in self.memory],
            "memory_example": _memory_record(self.memory_example),
            "dims_per_token": [
                {
                    "tokens": _measure(row.tokens, "tokens"),
                    "dims_per_token": _measure(row.dims_per_token, "numbers per token"),
                }
                for row in self.dims_per_token
            ],
            "findings": [
                {
                    "section": finding.section,
                    "text": finding.text,
                    "numbers": {number.name: _measure(number.value, number.unit) for number in finding.numbers},
                    "claims": list(finding.claims),
                    "answer": finding.answer,
                }
                for finding in self.findings
            ],
        }


def replay(constants: KataConstants) -> KataResult:
    """Run every section once. All numbers but the times are determined by the constants."""
    network = build(constants)
    shape = spectrum(network)
    distinct = sections.distinct_tokens(constants)
    forward = sections.forward(constants, network)
    bottleneck = sections.bottleneck(constants, network)
    retrieval = sections.retrieval(constants, network)
    printed = [retrieval[position] for position in constants.positions]
    parallel = sections.parallel(constants)
    memory = sections.memory(constants)
    dims = sections.dims_per_token(constants)
    return KataResult(
        constants=constants,
        spectrum=shape,
        forward=forward,
        bottleneck=bottleneck,
        retrieval=retrieval,
        parallel=parallel,
        memory=memory,
        memory_example=sections.memory_example(constants),
        dims_per_token=dims,
        findings=(
            findings.of_forward(forward),
            findings.of_bottleneck(bottleneck, constants.token_count, distinct),
            findings.of_retrieval(retrieval, printed, shape, constants.input_size),
            findings.of_parallel(parallel, constants.cores, constants.hidden_size, constants.input_size),
            findings.of_memory(memory, constants.layers, constants.batch),
            findings.of_dims(dims, constants.dims, distinct, constants.input_size),
        ),
    )


def _measure(value: Any, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit}


def _memory_record(row: sections.MemoryRow) -> dict[str, Any]:
    return {
        "seq_len": _measure(row.length, "tokens"),
        "hidden": _measure(row.hidden, "numbers"),
        "layer": _measure(row.layer_bytes, "B"),
        "whole_model": _measure(row.model_bytes, "B"),
    }
