"""What holds of the whole tree: the public surface, a desk without torch, abstract or final, small files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from report_pages import page

import seqscale
from seqscale.engine.machine import this_machine, versions
from seqscale.rows import Table
from seqscale.store.store import Store

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_the_public_surface_is_what_the_readme_promises():
    names = {name for name in vars(seqscale) if not name.startswith("_")}
    assert {"run", "measure", "machine", "claims", "status", "report", "export", "list", "Store"} <= names
    verbs = ("run", "measure", "machine", "claims", "status", "report", "export")
    assert all(callable(getattr(seqscale, name)) for name in verbs)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store as a run leaves it, with synthetic numbers."""
    path, truth = tmp_path_factory.mktemp("desk") / "a.db", page()
    table: Table = truth.table
    with Store.writer(path) as kept:
        kept.add_questions(truth.study, truth.questions)
        kept.add_cells(row.cell for row in table)
        for row in table:
            kept.commit_round((row.cell.id, name, s) for name, seen in row.observations.items() for s in seen.samples)
            if row.outcome is not None:
                kept.set_outcome(row.cell.id, row.outcome)
        kept.end_run(kept.begin_run(truth.study, "0", this_machine().facts(), versions()), 1.0, 0.5)
    return path


@pytest.mark.parametrize(
    "arguments",
    [["claims"], ["status"], ["report", "-o", "{folder}/r.html"], ["export", "-o", "{folder}/e"]],
    ids=lambda a: a[0],
)
def test_the_desk_reads_a_store_without_torch(store, tmp_path, arguments):
    blocked = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'seqscale'; from seqscale.cli import main; main()"
    verb, *rest = (word.format(folder=tmp_path) for word in arguments)
    done = subprocess.run(
        [sys.executable, "-c", blocked, verb, str(store), *rest], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_interfaces_are_abstract_and_what_is_concrete_is_final():
    from seqscale.layers.base import AbstractLayer
    from seqscale.layers.catalogue import LAYERS
    from seqscale.probes.base import AbstractProbe
    from seqscale.verdicts.base import AbstractClaim

    for spec in LAYERS.values():
        __import__(spec.target.partition(":")[0])
    found = [AbstractLayer, AbstractProbe, AbstractClaim]
    while found:
        kind = found.pop()
        children = [child for child in kind.__subclasses__() if child.__module__.startswith("seqscale.")]
        assert not children or kind.__name__.startswith("Abstract"), f"{kind.__name__} is concrete and is subclassed"
        found += children


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
