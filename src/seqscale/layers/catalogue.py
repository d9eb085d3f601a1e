"""The layers by name, without torch; and how the name of a user's own layer is read.

A name is `gru`, `gru/reference` (with an algorithm), `path/to/file.py:Name` or `package.module:Name`. Nothing here
imports or runs a user's code: a worker does that (`layers.build`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from seqscale.errors import LayerLoadError, UnknownNameError, UsageError
from seqscale.records import LayerSpec

LAYERS = {
    spec.name: spec
    for spec in (
        LayerSpec(
            name="elman",
            target="seqscale.layers.elman:Elman",
            version="3",
            family="recurrent",
            algorithms=("library", "reference", "fused"),
            widen="hidden",
            sentence="plain recurrence, tanh of a sum (option hidden)",
        ),
        LayerSpec(
            name="elman-orthogonal",
            target="seqscale.layers.elman:elman_orthogonal",
            version="3",
            family="recurrent",
            algorithms=("library", "reference", "fused"),
            widen="hidden",
            sentence="plain recurrence that starts orthogonal, without biases (options hidden, gain)",
        ),
        LayerSpec(
            name="gru",
            target="seqscale.layers.gru:GRU",
            version="3",
            family="recurrent",
            algorithms=("library", "reference", "fused"),
            widen="hidden",
            sentence="gated recurrent unit, as torch.nn.GRU writes it (options hidden, forget_bias)",
        ),
        LayerSpec(
            name="lstm",
            target="seqscale.layers.lstm:LSTM",
            version="3",
            family="recurrent",
            algorithms=("library", "reference", "fused"),
            widen="hidden",
            sentence="long short-term memory without peepholes (options hidden, forget_bias)",
        ),
        LayerSpec(
            name="diagonal",
            target="seqscale.layers.diagonal:Diagonal",
            version="1",
            family="recurrent",
            algorithms=("reference", "scan", "fused"),
            fastest="scan",
            widen="hidden",
            sentence="real diagonal linear recurrence, which a scan makes parallel (option hidden)",
        ),
        LayerSpec(
            name="lru",
            target="seqscale.layers.lru:LRU",
            version="1",
            family="recurrent",
            algorithms=("reference", "scan", "fused"),
            fastest="scan",
            widen="hidden",
            sentence="complex diagonal recurrence on a ring (options hidden, radius_min, radius_max)",
        ),
        LayerSpec(
            name="selective",
            target="seqscale.layers.selective:Selective",
            version="1",
            family="recurrent",
            algorithms=("reference", "scan", "fused"),
            widen="width",
            sentence="diagonal recurrence whose decays follow the input, Mamba's core (option state)",
        ),
        LayerSpec(
            name="orthogonal",
            target="seqscale.layers.linear:orthogonal",
            version="1",
            family="recurrent",
            algorithms=("reference", "scan"),
            fastest="scan",
            widen="hidden",
            sentence="linear recurrence that starts orthogonal (options hidden, radius)",
        ),
        LayerSpec(
            name="cyclic",
            target="seqscale.layers.linear:cyclic",
            version="1",
            family="recurrent",
            algorithms=("reference", "scan"),
            fastest="scan",
            widen="hidden",
            sentence="linear recurrence that starts as a ring of units (options hidden, radius)",
        ),
        LayerSpec(
            name="linear-attention",
            target="seqscale.layers.linear_attention:LinearAttention",
            version="1",
            family="recurrent",
            algorithms=("reference", "chunked", "fused"),
            fastest="chunked",
            widen="width",
            sentence="attention without softmax: keys and values summed into one matrix (options heads, decay)",
        ),
        LayerSpec(
            name="deltanet",
            target="seqscale.layers.deltanet:DeltaNet",
            version="1",
            family="recurrent",
            algorithms=("reference", "chunked", "fused"),
            fastest="chunked",
            widen="width",
            sentence="linear attention that takes out what a key held before it writes (option heads)",
        ),
        LayerSpec(
            name="attention",
            target="seqscale.layers.attention:Attention",
            version="1",
            family="attention",
            algorithms=("library", "reference"),
            widen=None,
            sentence="causal softmax attention with keys and values kept (options heads, rotary)",
        ),
    )
}


def split(name: str) -> tuple[str, str | None]:
    """Split what a user wrote into the layer and the algorithm named with it, None where none is.

    Slashes of a path stay in the layer: `dir/mine.py:Mine/own` -> (`dir/mine.py:Mine`, `own`).
    """
    place, colon, last = name.rpartition(":")
    if not colon and last.endswith(".py"):
        return name, None
    word, slash, algorithm = last.partition("/")
    if slash and not algorithm:
        raise UsageError(f"'{name}' ends in a slash: write an algorithm after it, or leave the slash out.")
    return place + colon + word, algorithm or None


def find(name: str) -> LayerSpec:
    """Return the layer of that name, the algorithm split off: from the catalogue, a user's file or a user's module.

    Raises:
        UnknownNameError: no such name in the catalogue, or in the user's file.
        LayerLoadError: no such file or module, or one that is not Python.
        UsageError: a file without the layer's name.
    """
    place, colon, word = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise UsageError(f"'{name}' is a file: name the layer in it, '{name}:Name'.")
        if name not in LAYERS:
            raise UnknownNameError("layer", name, [*LAYERS, "path/to/file.py:Name"])
        return LAYERS[name]
    if not place or not word.isidentifier():
        raise UsageError(f"'{name}': write 'path/to/file.py:Name' or 'package.module:Name'.")
    if place.endswith(".py"):
        file = Path(place)
        shown, target = f"{file}:{word}", f"{file.resolve()}:{word}"
    else:
        file = _module_file(place)
        shown = target = name
    source = _read(file)
    _check_defined(source, file, word)
    return LayerSpec(
        name=shown,
        target=target,
        version=hashlib.sha256(source).hexdigest(),
        family="own",
        algorithms=("own",),
        widen="width",
        sentence=f"your own layer, from {place}",
    )


def choose(spec: LayerSpec, algorithm: str | None) -> str:
    """Return the algorithm asked for, or the layer's default when None; UnknownNameError if the layer has no such."""
    if algorithm is None:
        return spec.algorithms[0]
    if algorithm not in spec.algorithms:
        raise UnknownNameError(f"algorithm of {spec.name}", algorithm, spec.algorithms)
    return algorithm


def search_here() -> None:
    """Let modules of the working folder be found, as `python -m` does and a console script does not."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def _module_file(name: str) -> Path:
    """Return the file of a module without running its packages, which importlib.util.find_spec(name) would do."""
    search_here()
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # a module of the running program that has no spec, as __main__
        spec = None
    known = first
    for part in rest:
        inside = None if spec is None else spec.submodule_search_locations
        known = f"{known}.{part}"
        spec = None if inside is None else PathFinder.find_spec(known, inside)
    if spec is None:
        raise LayerLoadError(f"no module '{name}': install it, or write the path of its file, 'path/to/file.py:Name'.")
    if spec.origin is None or not spec.has_location:
        raise LayerLoadError(f"module '{name}' has no file of its own; name the module that defines the layer.")
    return Path(spec.origin)


def _read(file: Path) -> bytes:
    """Return a file's bytes, or say why not."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise LayerLoadError(f"cannot read '{file}': {error.strerror}.") from error


def _check_defined(source: bytes, file: Path, word: str) -> None:
    """Raise unless the source is Python and has `word` at its top level; a file is parsed, never run."""
    if file.suffix != ".py":
        return  # a compiled module
    try:
        tree = ast.parse(source, str(file))
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise LayerLoadError(f"'{file}'{line}: {type(error).__name__}: {getattr(error, 'msg', error)}.") from error
    names = set(_top_level_names(tree.body))
    if word not in names and "*" not in names:
        public = [n for n in names if not n.startswith("_")]
        raise UnknownNameError(f"layer of {file}", word, public or ["none, the file defines no name"])


def _top_level_names(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a module's statements bind; `*` for an import of everything."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        else:  # if, try, with, assignments: what they hold is bound at the top level too
            yield from _top_level_names(ast.iter_child_nodes(node))
