"""How a layer's name is read, without importing torch or the user's code."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from seqscale.errors import LayerLoadError, UnknownNameError, UsageError
from seqscale.layers.catalogue import LAYERS, choose, find, split

MINE = "import torch\nclass Mine(torch.nn.Module):\n    pass\nmake = Mine\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "layer", "algorithm"),
    [
        ("gru", "gru", None),
        ("gru/reference", "gru", "reference"),
        ("mine.py:Mine", "mine.py:Mine", None),
        ("a/b/mine.py:Mine", "a/b/mine.py:Mine", None),
        ("/a/mine.py:Mine/own", "/a/mine.py:Mine", "own"),
        ("package.module:Name", "package.module:Name", None),
        ("package.module:Name/own", "package.module:Name", "own"),
        ("a/b/mine.py", "a/b/mine.py", None),
    ],
)
def test_the_algorithm_is_split_off(name: str, layer: str, algorithm: str | None) -> None:
    assert split(name) == (layer, algorithm)


def test_a_slash_needs_an_algorithm() -> None:
    with pytest.raises(UsageError, match="'gru/' ends in a slash"):
        split("gru/")


def test_the_default_algorithm_is_the_library_where_there_is_one() -> None:
    for spec in LAYERS.values():
        assert choose(spec, None) == ("library" if "library" in spec.algorithms else "reference")
    assert choose(LAYERS["gru"], "reference") == "reference"
    with pytest.raises(UnknownNameError, match=r"unknown algorithm of gru 'referense': did you mean reference\?"):
        choose(LAYERS["gru"], "referense")


def test_a_file_is_named_by_its_content(here: Path) -> None:
    (here / "sub").mkdir()
    file = here / "sub" / "mine.py"
    file.write_text(MINE)
    spec = find("./sub/mine.py:Mine")
    assert spec.name == "sub/mine.py:Mine"
    assert spec.target == f"{file}:Mine"
    assert (spec.family, spec.algorithms, spec.widen) == ("own", ("own",), "width")
    assert spec.version == hashlib.sha256(MINE.encode()).hexdigest()
    file.write_text(MINE + "\n")
    assert find("sub/mine.py:Mine").version != spec.version
    assert find("sub/mine.py:make").target == f"{file}:make"


def test_a_module_is_found_but_not_run(here: Path) -> None:
    (here / "somepackage").mkdir()
    (here / "somepackage" / "__init__.py").write_text("raise SystemExit('was run')")
    (here / "somepackage" / "mine.py").write_text(MINE)
    spec = find("somepackage.mine:Mine")
    assert spec.target == spec.name == "somepackage.mine:Mine"
    assert spec.version == hashlib.sha256(MINE.encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("grue", UnknownNameError, r"unknown layer 'grue': did you mean gru or lru\?"),
        ("zzzz", UnknownNameError, f"known: {', '.join(sorted([*LAYERS, 'path/to/file.py:Name']))}"),
        ("mine.py", UsageError, "'mine.py' is a file: name the layer in it, 'mine.py:Name'"),
        ("mine.py:", UsageError, "write 'path/to/file.py:Name'"),
        ("mine.py:a b", UsageError, "write 'path/to/file.py:Name'"),
        ("absent.py:Mine", LayerLoadError, "cannot read 'absent.py': No such file"),
        ("mine.py:Mina", UnknownNameError, r"unknown layer of mine.py 'Mina': did you mean Mine\?"),
        ("broken.py:Mine", LayerLoadError, "'broken.py' line 2: SyntaxError"),
        ("absent_module:Mine", LayerLoadError, "no module 'absent_module': install it"),
        ("json.absent:Mine", LayerLoadError, "no module 'json.absent'"),
        ("os.path:Mine", LayerLoadError, "no module 'os.path'"),
        ("sys:Mine", LayerLoadError, "module 'sys' has no file of its own"),
    ],
)
def test_bad_names_say_the_cause_and_the_cure(here: Path, name: str, error: type[UsageError], text: str) -> None:
    (here / "mine.py").write_text(MINE)
    (here / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(error, match=text):
        find(name)


def test_a_name_that_only_running_would_show_is_let_through(here: Path) -> None:
    (here / "mine.py").write_text("from elsewhere import *\n")
    assert find("mine.py:Anything").version
    (here / "two.py").write_text("try:\n    from fast import Mine\nexcept ImportError:\n    Mine = None\n")
    assert find("two.py:Mine").version


def test_the_catalogue_needs_no_torch(here: Path) -> None:
    (here / "mine.py").write_text(MINE)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from seqscale.layers.catalogue import find; find('gru'); find('mine.py:Mine')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=here)
