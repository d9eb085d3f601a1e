"""What stopped a trace: which operator, and at which line of whose code."""

from __future__ import annotations

import linecache
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

from seqscale.errors import SeqscaleError, UnsupportedError

_NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))


class UntraceableError(UnsupportedError):
    """A module that fake tensors do not satisfy; a real run may."""


@contextmanager
def untraceable() -> Iterator[None]:
    """Turn whatever the block raises into an UntraceableError that names the operator and the line."""
    log = logging.getLogger("torch._subclasses.fake_tensor")  # it prints every error besides raising it
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except SeqscaleError:
        raise
    except Exception as error:
        raise UntraceableError(f"cannot be traced without running it: {_cause(error)}{_where(error)}.") from error
    finally:
        log.setLevel(level)


def _cause(error: Exception) -> str:
    match error:
        case DataDependentOutputException() | DynamicOutputShapeException():
            return f"{_name(error.func)} needs real data"
        case UnsupportedOperatorException():
            return f"{_name(error.func)} has no kernel for tensors without data (a custom operator needs register_fake)"
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'no message'}".rstrip(".")


def _name(operator: object) -> str:
    """Write `aten._local_scalar_dense.default` as what a person wrote: .item()."""
    text = str(operator).removesuffix(".default")
    return f".item() ({text})" if text == "aten._local_scalar_dense" else text


def _where(error: Exception) -> str:
    """Return the last line of code on the way to the error that is neither torch's nor ours."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THE_USERS)]
    if not frames:
        return ", in the backward pass or inside torch"
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    return f", at line {last.lineno} of {last.filename}: {line}"
