"""Build the layer that a cell names: import it, call it, put it on its device; every fault of it is explained here."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from seqscale.errors import LayerLoadError, SeqscaleError, UnknownNameError
from seqscale.layers.adapt import Capabilities, capabilities
from seqscale.layers.catalogue import search_here
from seqscale.records import Option

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A layer ready to run, in training mode.

    Attributes:
        module: maps (b, t, d) to (b, t, d) or to ((b, t, d), state).
        capabilities: what else it can do.
        notes: what was changed in it, for the record.
    """

    module: nn.Module
    capabilities: Capabilities
    notes: tuple[str, ...]


def build(
    target: str,
    family: str,
    width: int,
    options: Mapping[str, Option],
    algorithm: str,
    dtype: str,
    device: str,
    seed: int,
) -> Built:
    """Build a layer with seeded parameters, leaving the caller's random state as it was.

    Parameters are drawn in float32 and then cast, so a seed means the same weights in every dtype. Every dropout module
    is set to 0, so that training mode is deterministic.

    Args:
        target: "module:Name" or "path.py:Name".
        family: the layer's family; "own" is called as Name(width, **options), others get `algorithm` too.
        width: d.
        options: the layer's options.
        algorithm: one of the layer's algorithms.
        dtype: "float32", "float64" or "bfloat16".
        device: as torch names it.
        seed: of the parameters.

    Raises:
        LayerLoadError: the layer does not import, cannot be called so, or is no torch module.
        UsageError: the layer refuses an option's value, or has no such option.
    """
    place, _, word = target.rpartition(":")
    source = _import(place)
    if word not in vars(source):
        raise UnknownNameError(f"layer of {place}", word, (n for n in vars(source) if not n.startswith("_")))
    make = vars(source)[word]
    if family != "own":
        _check_options(make, word, options)
    arguments = dict(options) if family == "own" else {**options, "algorithm": algorithm}
    on = torch.device(device)
    with torch.random.fork_rng(devices=[] if on.type == "cpu" else [on]):
        torch.manual_seed(seed)
        module = _call(make, word, source, width, arguments)
    module = module.to(device=on, dtype=DTYPES[dtype]).train()
    notes = ("dropout set to 0",) if _silence_dropout(module) else ()
    return Built(module=module, capabilities=capabilities(module), notes=notes)


def _import(place: str) -> ModuleType:
    """Import a module by name, or a user's file by path; its own error is shown."""
    try:
        if not place.endswith(".py"):
            search_here()
            return importlib.import_module(place)
        return _import_file(Path(place))
    except SeqscaleError:
        raise
    except (Exception, SystemExit) as error:
        raise LayerLoadError(f"'{place}' does not import: {_explain(error, place)}.") from error


def _import_file(file: Path) -> ModuleType:
    """Run a file as a module of its own, once for each content; the files beside it can be imported by it."""
    if not file.is_file():
        raise LayerLoadError(f"no file '{file}'.")
    # once, as a file may register operators, which torch takes only once
    name = f"_own_layer_{file.stem}_{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up while it is being made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _call(
    make: Callable[..., Any], word: str, source: ModuleType, width: int, arguments: Mapping[str, Any]
) -> nn.Module:
    """Call Name(width, **arguments); say what was called when it does not work."""
    called = f"{word}({', '.join([str(width), *(f'{k}={v!r}' for k, v in arguments.items())])})"
    if not callable(make):
        raise LayerLoadError(
            f"'{word}' is of type {type(make).__name__}; a layer is a class or function, called as {called}."
        )
    try:
        signature = inspect.signature(make)
        signature.bind(width, **arguments)
    except TypeError as error:
        raise LayerLoadError(f"cannot call {called}: {error}; it is {word}{signature}.") from error
    try:
        module = make(width, **arguments)
    except SeqscaleError:
        raise
    except Exception as error:
        raise LayerLoadError(f"{called} raised {_explain(error, source.__file__ or '')}.") from error
    if not isinstance(module, nn.Module):
        raise LayerLoadError(f"{called} gave a {type(module).__name__}, not a torch.nn.Module.")
    return module


def _check_options(make: Callable[..., Any], word: str, options: Mapping[str, Option]) -> None:
    """Raise for an option that a layer of the project does not have."""
    known = [name for name in inspect.signature(make).parameters if name not in ("width", "algorithm")]
    for name in options:
        if name not in known:
            raise UnknownNameError(f"option of {word}", name, known)


def _explain(error: Exception | SystemExit, file: str) -> str:
    """Write an error as its type, its message and the last line of the user's file that it passed through."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {error.filename})"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {lines[-1]} of {file})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def _silence_dropout(module: nn.Module) -> bool:
    """Set every dropout probability to 0; return whether one was not."""
    found = False
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0:
            part.p, found = 0.0, True
        elif isinstance(part, nn.RNNBase | nn.MultiheadAttention) and part.dropout > 0:
            part.dropout, found = 0.0, True
    return found
