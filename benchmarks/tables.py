"""Figures as tables, of at most 120 columns in a terminal, which Markdown takes as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.targets import CEILINGS, DIAGONAL, MATRICES, SELECTIVE, Found, Judged, Row, judge

_SHORT = {"torch.nn": "nn", "lax.scan": "scan", "ceiling": ""}  # peers, in the column of targets
_SIZES = {DIAGONAL: "(B,T,D)", SELECTIVE: "(B,T,D,N)", MATRICES: "(S,T,E)"}

CAPTION = """\
Each figure is a median over rounds with its 95 % interval: the peer's time over the fused kernel's; above 1 the kernel
is the faster. prod, read: the share that it reaches of this machine's matrix products, and of reading the recurrent
weights once a step (with gradients twice) from the cache that they fit in. Targets are judged by medians; a star: or
60 % of the nearer of the two. "both" is the outputs and the gradients of inputs, weights and biases."""


def head(mode: str) -> str:
    """Return the head of the table of cells in one mode."""
    title = {"forward": "forward (B,I,H,T)", "both": "both (B,I,H,T)"}[mode]
    return f"{_line(title, 'us a', 'torch.nn / fused', 'lax.scan / fused', 'prod', 'read', 'target')}\n|{'---|' * 7}"


def cell(row: Row) -> str:
    """Return a cell's line: microseconds a step, ratios, shares of ceilings, and its targets."""
    shares = [f"{row.shares[top][0]:.0%}" if top in row.shares else "" for top in ("products", "read")]
    ratios = [ratio(row.ratios[peer]) if peer in row.ratios else "-" for peer in ("torch.nn", "lax.scan")]
    step = figure(1e6 * row.seconds / row.shape[-1])
    return _line(f"{row.name} {_shape(row)}", step, *ratios, *shares, verdict(judge(row)))


def loops(rows: Iterable[Row]) -> Sequence[str]:
    """Return the table of the numpy loop: a line for each shape, a column for each cell."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if "numpy" in row.ratios:
            found.setdefault(_shape(row), {})[row.name] = ratio(row.ratios["numpy"])
    names = list(dict.fromkeys(name for cells in found.values() for name in cells))
    lines = ["", _columns("numpy loop / fused", names), f"|{'---|' * (1 + len(names))}"]
    lines += [_columns(shape, [cells.get(name, "-") for name in names]) for shape, cells in found.items()]
    return lines if found else []


LINEAR_HEAD = f"""\
| {"linear recurrences":<45} | {"fused ms":>8} | {"against":<16} | {"ratio or share":<16} | target |
|{"---|" * 5}"""


def linear(row: Row) -> Sequence[str]:
    """Return the lines of a linear recurrence: one for each peer and each ceiling."""
    judged = {j.target.against: j for j in judge(row)}
    title = f"{row.name} {_SIZES[row.shape]} {_shape(row)} {row.mode}"
    lines = []
    for peer, found in (row.ratios | row.shares).items():
        seen = f"{found[0]:.0%} [{found[1]:.0%},{found[2]:.0%}]" if peer in CEILINGS else ratio(found)
        target = f"{judged[peer].wanted} {_word(judged[peer])}" if peer in judged else "-"
        lines.append(f"| {title:<45} | {figure(1e3 * row.seconds):>8} | {peer:<16} | {seen:<16} | {target} |")
    return lines


def counts(rows: Sequence[Row]) -> str:
    """Return how many rounds the figures are from."""
    most = max(row.rounds for row in rows)
    fewer = [f"{row.name} {_shape(row)} {row.mode} {row.rounds}" for row in rows if row.rounds < most]
    return f"Figures are from {most} rounds" + (f", but of {', '.join(fewer)}." if fewer else ".")


def met(rows: Sequence[Row]) -> str:
    """Return how many targets were met, of all that could be judged."""
    judged = [j.met for row in rows for j in judge(row)]
    found = f"{judged.count(True)} of {len(judged)} targets met, {judged.count(False)} missed"
    return found + (f", {judged.count(None)} not measured" if None in judged else "")


def verdict(judged: Sequence[Judged]) -> str:
    """Write which targets were missed, and which were met."""
    said: dict[str, list[str]] = {}
    for word in ("missed", "met", "not measured"):
        for j in judged:
            if _word(j) == word:
                said.setdefault(word, []).append(f"{_SHORT.get(j.target.against, j.target.against)} {j.wanted}".strip())
    return "; ".join(f"{word} {', '.join(which)}" for word, which in said.items()) or "-"


def ratio(found: Found) -> str:
    """Write a median and its interval."""
    value, low, high = map(figure, found)
    return f"{value} [{low},{high}]"


def figure(value: float) -> str:
    """Write a positive number with three digits, all before the point where it has more."""
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def as_json(row: Row) -> Mapping[str, object]:
    """Return a row as JSON has it: seconds, ratios and shares as [median, low, high] of 95 %, and its targets."""
    targets = [{"against": j.target.against, "wanted": j.wanted, "met": j.met} for j in judge(row)]
    return {
        "name": row.name, "shape": row.shape, "mode": row.mode, "rounds": row.rounds, "seconds": row.seconds,
        "ratios": row.ratios, "shares": row.shares, "apart": row.apart, "targets": targets,
    }  # fmt: skip


def _line(name: str, step: str, nn: str, scan: str, products: str, read: str, target: str) -> str:
    return f"| {name:<23} | {step:>5} | {nn:<16} | {scan:<16} | {products:>4} | {read:>4} | {target} |"


def _columns(first: str, others: Iterable[str]) -> str:
    return f"| {first:<23} |" + "".join(f" {other:<16} |" for other in others)


def _shape(row: Row) -> str:
    return f"({','.join(map(str, row.shape))})"


def _word(judged: Judged) -> str:
    return {True: "met", False: "missed", None: "not measured"}[judged.met]
