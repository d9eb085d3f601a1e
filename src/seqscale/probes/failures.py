"""From an exception inside a cell to its outcome: one cell's failure is a row, never the end of a block."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from seqscale.errors import RejectedError, SeqscaleError, UnsupportedError
from seqscale.rows import Outcome, OutcomeKind

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "cannot allocate memory")
_NOT_THE_USERS = tuple(str(folder) for folder in (Path(torch.__file__).parent, Path(__file__).parents[1]))
_LONGEST = 300  # characters of a reason


def outcome_of(error: BaseException) -> Outcome:
    """Say what became of a cell that raised `error`."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _is_no_memory(error):
        return Outcome(kind=OutcomeKind.out_of_memory, reason=_text(error))
    if isinstance(error, UnsupportedError):
        return Outcome(kind=OutcomeKind.unsupported, reason=_text(error))
    if isinstance(error, RejectedError):
        return Outcome(kind=OutcomeKind.rejected, reason=_text(error))
    if isinstance(error, SeqscaleError):
        return Outcome(kind=OutcomeKind.failed, reason=_text(error))
    return Outcome(kind=OutcomeKind.failed, reason=f"{type(error).__name__}: {_text(error)}{_where(error)}")


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def _text(error: BaseException) -> str:
    """The first line of what the error says; torch's own out-of-memory text has the bytes in it."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _where(error: BaseException) -> str:
    """` (file:line)` of the innermost frame that is neither torch's nor ours; nothing when all of them are."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THE_USERS)]
    frames = [f for f in frames if not f.filename.startswith("<")]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
