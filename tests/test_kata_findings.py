"""The line under each section follows from its numbers, and turns round when they do."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from seqscale.kata import findings
from seqscale.kata.constants import KataConstants
from seqscale.kata.replay import replay
from seqscale.kata.sections import ForwardRow, RetrievalRow, parallel
from seqscale.verdicts.catalogue import CLAIMS


def line(section, **changes):
    return replay(KataConstants(lengths=(1, 2), **changes)).finding(section)


def number(finding, name):
    return next(n.value for n in finding.numbers if n.name == name)


def timed(*pairs, fused=None):
    rows = [ForwardRow(length=n, seconds=s, fused_seconds=fused, final_hidden=(0.0,)) for n, s in pairs]
    return findings.of_forward(rows).text


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (((10, 1.0), (100, 10.5)), "10.5 times as long (T^1.02 between the ends): proportional to length"),
        (((10, 1.0), (100, 99.0)), "99 times as long (T^2.00 between the ends): more than proportional"),
        (((10, 1.0), (100, 2.0)), "less than proportional"),
        (((10, 1.0),), "no growth can be read"),
    ],
)
def test_time_is_read_from_its_exponent(pairs, words):
    assert words in timed(*pairs)
    other = {"a step costs the same", "a step became dearer", "a step became cheaper"}
    assert sum(phrase in timed(*pairs) for phrase in other) == len(pairs) - 1


def test_what_the_kernel_takes_is_set_against_the_loop_where_there_is_one():
    assert "kernel" not in timed((10, 1.0), (100, 10.0))
    text = timed((10, 1.0), (100, 10.0), fused=0.5)
    assert "kernel takes 5 ms a step" in text and "of the 100 ms above, all but one part in 20" in text
    assert "no less than the loop above" in timed((100, 10.0), fused=10.0)


def test_similarity_rises_with_the_programs_own_constants_and_falls_with_others():
    assert "rises by 0.6843, from -0.3615 to +0.3228 (2 of 4 changes upward)" in line("bottleneck").text
    assert (
        "falls by 0.0741, from +0.3969 to +0.3228 (0 of 1 changes upward)" in line("bottleneck", encoded=(15, 20)).text
    )
    assert "does not change" in line("bottleneck", scale_x=0.0).text
    assert "is -0.3701 after 5 tokens" in line("bottleneck", encoded=(5,)).text


def test_the_different_tokens_are_counted():
    assert "The 20 tokens are 8 different ones; at the end the newest ranks 4 of 8" in line("bottleneck").text
    assert "The 20 tokens are 20 different ones" in line("bottleneck", input_size=32).text
    assert "below zero in 2 of 5 rows" in line("bottleneck").text


@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 50), st.integers(0, 50))
@settings(deadline=None, max_examples=25)
def test_direction_and_sign_always_agree_with_the_rows(input_size, hidden_size, seed_h, seed_x):
    result = replay(
        KataConstants(input_size=input_size, hidden_size=hidden_size, seed_h=seed_h, seed_x=seed_x, lengths=(1, 2))
    )
    rows, text = result.bottleneck, result.finding("bottleneck").text
    change = rows[-1].first_similarity - rows[0].first_similarity
    assert ("rises by" in text, "falls by" in text) == (change > 1e-12, change < -1e-12)
    # by rounding, as the line does: a state that settles changes by ever less, and some change is just 1e-12
    ups = sum(round(b.first_similarity - a.first_similarity, 12) > 0 for a, b in itertools.pairwise(rows))
    assert f"({ups} of {len(rows) - 1} changes upward)" in text

    retrieval, correlation = result.finding("retrieval").text, findings.rank_correlation(result.retrieval)
    assert ("look more alike" in retrieval) == (correlation is not None and correlation > 1e-12)
    assert ("look less alike" in retrieval) == (correlation is not None and correlation < -1e-12)


def test_distance_has_the_wrong_sign_in_the_program_and_the_right_one_elsewhere():
    own = line("retrieval")
    assert "+0.34 (+0.30 over the printed ones)" in own.text
    assert "the wrong sign for" in own.text
    assert "The newest token printed (distance 0) ranks 5 of 5" in own.text
    assert "15 positions give 8 different similarities" in own.text
    assert "W_h has rank 2 of 16 and spectral radius 0.1455; the cosine reads 8 of the state's 16 numbers" in own.text
    other = line("retrieval", seed_x=0)
    assert "the sign that 'recent tokens weigh more' needs" in other.text
    assert "wrong sign" not in other.text
    assert "the same at every position" in line("retrieval", scale_x=0.0).text


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=12).filter(lambda v: len(set(v)) > 1))
@settings(deadline=None, max_examples=50)
def test_rank_correlation_equals_scipys(values):
    rows = [RetrievalRow(position=i, distance=len(values) - 1 - i, similarity=v / 10) for i, v in enumerate(values)]
    expected = spearmanr(values, np.arange(len(values))[::-1]).statistic
    assert findings.rank_correlation(rows) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 3000), st.integers(1, 6000))
@settings(deadline=None)
def test_attention_loses_exactly_from_as_many_tokens_as_cores(cores, length):
    row = parallel(KataConstants(cores=cores, parallel_lengths=(length,)))[0]
    assert (row.attention_steps > row.rnn_steps) == (length >= cores)


def test_the_parallel_line_follows_the_cores():
    assert "from 12.8 to 0.25. In this model attention loses from 1,024 tokens on" in line("parallel").text
    assert "at 2 of the 4 lengths" in line("parallel").text
    assert "at 1 of the 3 lengths" in line("parallel", parallel_lengths=(1000, 1023, 1024)).text  # 1.02, 1, 0.999
    many = line("parallel", cores=10**9).text
    assert "rises by 4032, from 64 to 4.1e+03" in many
    assert "at none of the 4 lengths" in many
    assert "At 64 tokens the recurrence takes 12.8 times" in line("parallel", parallel_lengths=(64,)).text
    assert "the recurrence's 1,280 products" in line("parallel", hidden_size=32).text


def test_the_memory_line_follows_the_table():
    own = line("bptt_bytes").text
    assert "64 times the tokens take 64 times the bytes" in own
    assert "268.4 MB, 8 times the widest state's 33.55 MB (25.77 GB in 24 layers at batch 32)" in own
    short = line("bptt_bytes", memory_lengths=(128, 256)).text
    assert "262.1 kB, 0.25 times the widest state's 1.049 MB" in short
    assert "128 tokens take 131.1 kB" in line("bptt_bytes", memory_lengths=(128,)).text


def test_the_quotients_line_weighs_bits_and_counts_the_doubling():
    own = line("dims_per_token")
    assert "at most 3,000 bits, fewer than the 16,384 bits" in own.text
    assert number(own, "products ratio on doubling") == (1024**2 + 8 * 1024) / (512**2 + 8 * 512)
    assert "more than the 512 bits" in line("dims_per_token", dims=16).text
    assert "multiplies the products of a step by 3.33" in line("dims_per_token", dims=16).text
    assert "at most 0 bits, fewer than" in line("dims_per_token", token_count=1, encoded=(1,)).text


def test_every_section_names_only_claims_that_exist():
    result = replay(KataConstants(lengths=(1, 2)))
    for finding in result.findings:
        assert set(finding.claims) <= CLAIMS.keys()
        for claim in finding.claims:
            assert claim in finding.answer


@pytest.mark.parametrize(
    ("section", "room", "others"),
    [
        ("bottleneck", "information.", set()),
        ("retrieval", "retrieval.", set()),
        ("parallel", "parallel.", set()),
        ("dims_per_token", "width.", {"information.state-is-bounded"}),
    ],
)
def test_a_section_names_every_claim_on_its_question(section, room, others):
    named = set(replay(KataConstants(lengths=(1, 2))).finding(section).claims)
    assert named == {claim for claim in CLAIMS if claim.startswith(room)} | others
