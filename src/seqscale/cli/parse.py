"""What the command line writes as text, turned into values; every refusal names what was written and the cure."""

from __future__ import annotations

import re

from seqscale.errors import UsageError
from seqscale.records import Option


def lengths(text: str | None, option: str = "--lengths") -> tuple[int, ...] | None:
    """Read `64:4096` (doubling, the end included) or `64,100,1000`; None stays None. `option` is what was written."""
    if text is None:
        return None
    if ":" in text:
        ends = [_length(part, text, option) for part in text.split(":")]
        if len(ends) != 2 or ends[0] > ends[1]:
            raise UsageError(f"{option} {text}: write FIRST:LAST with FIRST <= LAST (doubling), or a list 64,128,256.")
        return (*_doubled(*ends), ends[1])
    return tuple(sorted({_length(part, text, option) for part in text.split(",")}))


def _doubled(first: int, last: int) -> list[int]:
    found = []
    while first < last:
        found.append(first)
        first *= 2
    return found


def _length(part: str, text: str, option: str) -> int:
    try:
        value = int(part)
    except ValueError:
        raise UsageError(f"{option} {text}: '{part}' is not a whole number; write 64:4096 or 64,128,256.") from None
    if value < 1:
        raise UsageError(f"{option} {text}: a length must be at least 1, not {value}.")
    return value


def counts(text: str | None) -> tuple[int, ...] | None:
    """Read `1,2,4`; None stays None."""
    if text is None:
        return None
    parts = text.split(",")
    for part in parts:
        if not part.strip().isdecimal():
            raise UsageError(f"--threads {text}: '{part}' is not a number of threads; write 1,2,4.")
    return tuple(int(part) for part in parts)


def options(pairs: list[str] | None, option: str = "--option") -> tuple[tuple[str, Option], ...]:
    """Read `key=value` pairs; values become int, float or bool where they look like one. `option`: what was written."""
    found: dict[str, Option] = {}
    given: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"{option} {pair}: write {option} key=value with a Python name as key.")
        if key in given:
            raise UsageError(f"{option} {pair}: {key} is given already, as {given[key]}; give it once.")
        given[key], found[key] = pair, _value(value)
    return tuple(sorted(found.items()))


def _value(text: str) -> Option:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def seconds(text: str | None) -> float | None:
    """Read a budget: `90`, `90s`, `20m`, `1h`; None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match or float(match.group(1)) <= 0:
        raise UsageError(f"--budget {text}: write seconds, minutes or hours, like 90s, 20m or 1h.")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]
