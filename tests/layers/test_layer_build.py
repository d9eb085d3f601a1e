"""Building a layer: seeded, without dropout, and with every fault of a user's file explained."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from catalogue import normal
from torch import nn

from seqscale.errors import LayerLoadError, UnknownNameError, UsageError
from seqscale.layers.adapt import outputs
from seqscale.layers.build import Built, build
from seqscale.layers.catalogue import LAYERS, find

HEAD = "import torch\nfrom torch import nn\n"
EXAMPLE = Path(__file__).parents[2] / "examples" / "my_layer.py"


def own(folder: Path, code: str, name: str = "Mine", **options: Any) -> Built:
    file = folder / "mine.py"
    file.write_text(HEAD + code)
    return build(f"{file}:{name}", "own", 4, options, "own", "float32", "cpu", 0)


@pytest.fixture(autouse=True)
def _same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def known(name: str, width: int = 8, **options: Any) -> Built:
    spec = LAYERS[name]
    return build(spec.target, spec.family, width, options, "library", "float32", "cpu", 0)


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    known("gru")
    assert torch.get_rng_state().equal(before)


def test_a_seed_means_the_same_weights_in_every_dtype() -> None:
    spec = LAYERS["lstm"]
    exact, rounded = (
        build(spec.target, spec.family, 8, {}, "library", dtype, "cpu", 7).module.state_dict()
        for dtype in ("float64", "bfloat16")
    )
    assert all(exact[name].to(torch.bfloat16).equal(rounded[name]) for name in exact)


def test_dropout_is_set_to_zero_and_said_so(tmp_path: Path) -> None:
    code = (
        "def Mine(width):\n"
        "    return nn.Sequential(nn.Linear(width, width), nn.Dropout(0.5),"
        " nn.TransformerEncoderLayer(width, 2, batch_first=True), nn.Dropout1d(0.2))\n"
    )
    built = own(tmp_path, code)
    x = normal(2, 5, 4, dtype="float32")
    assert built.notes == ("dropout set to 0",)
    assert built.module.training
    assert outputs(built.module, x).equal(outputs(built.module, x))
    assert own(tmp_path, "def Mine(width):\n    return nn.Linear(width, width)\n").notes == ()


def test_what_a_layer_can_do_is_found_once(tmp_path: Path) -> None:
    assert known("gru").capabilities.steps
    plain = build(f"{EXAMPLE}:RunningMean", "own", 4, {"expand": 2}, "own", "float32", "cpu", 0)
    can = plain.capabilities
    assert (can.steps, can.carries) == (False, False)
    code = (
        "class Mine(nn.Module):\n"
        "    def __init__(self, width): super().__init__()\n"
        "    def forward(self, x, state=None): return x, state\n"
    )
    can = own(tmp_path, code).capabilities
    assert (can.steps, can.carries) == (False, True)


def test_outputs_with_or_without_a_state() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            return 2 * x, None

    x = normal(1, 2, 3)
    assert outputs(Pair(), x).equal(2 * x)
    assert outputs(nn.Identity(), x).equal(x)


@pytest.mark.parametrize(
    ("code", "options", "error", "text"),
    [
        ("import absent_thing\n", {}, LayerLoadError, r"ModuleNotFoundError.*absent_thing.*line 3 of .*mine\.py"),
        ("def f(:\n", {}, LayerLoadError, r"SyntaxError.*line 3 of .*mine\.py"),
        ("1 / 0\n", {}, LayerLoadError, r"does not import: ZeroDivisionError: division by zero \(line 3"),
        ("Mina = 1\n", {}, UnknownNameError, r"'Mine': did you mean Mina\?"),
        (
            "Mine = 3\n",
            {},
            LayerLoadError,
            r"'Mine' is of type int; a layer is a class or function, called as Mine\(4\)",
        ),
        ("def Mine(): pass\n", {}, LayerLoadError, r"cannot call Mine\(4\): too many positional arguments; it is Mine"),
        (
            "def Mine(width): pass\n",
            {"k": 2},
            LayerLoadError,
            r"cannot call Mine\(4, k=2\): .*'k'; it is Mine\(width\)",
        ),
        ("def Mine(width): return 5\n", {}, LayerLoadError, r"Mine\(4\) gave a int, not a torch\.nn\.Module"),
        (
            "def Mine(width):\n    return nn.Linear(width, 'x')\n",
            {},
            LayerLoadError,
            r"Mine\(4\) raised TypeError.*line 4 of .*mine\.py",
        ),
    ],
)
def test_a_faulty_file_is_explained(
    tmp_path: Path, code: str, options: dict[str, Any], error: type[UsageError], text: str
) -> None:
    with pytest.raises(error, match=text):
        own(tmp_path, code, **options)


def test_a_file_is_run_once_for_each_content_and_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("runs = []\n")
    code = "import neighbour_of_mine as n\nn.runs.append(1)\ndef Mine(width): return nn.Linear(width, len(n.runs))\n"
    assert [own(tmp_path, code).module.out_features for _ in range(3)] == [1, 1, 1]
    assert own(tmp_path, code + "\n").module.out_features == 2


def test_a_module_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "module_of_mine.py").write_text(
        HEAD + "class Mine(nn.Linear):\n    def __init__(self, width):\n        super().__init__(width, width)\n"
    )
    spec = find("module_of_mine:Mine")
    built = build(spec.target, spec.family, 4, {}, "own", "float64", "cpu", 0)
    assert outputs(built.module, normal(1, 2, 4)).dtype == torch.float64


@pytest.mark.parametrize(
    ("layer", "width", "options", "text"),
    [
        ("gru", 8, {"hiden": 9}, r"unknown option of GRU 'hiden': did you mean hidden\?"),
        ("gru", 8, {"hidden": 7}, "hidden=7: must be at least the width, 8"),
        ("elman", 8, {"hidden": "many"}, "hidden='many': must be a whole number"),
        ("orthogonal", 8, {"radius": 0}, "radius=0: must be a number above 0."),
        ("cyclic", 8, {"radius": True}, "radius=True: must be a number above 0."),
        ("elman-orthogonal", 8, {"gain": float("nan")}, "gain=nan: must be a number above 0."),
        ("gru", 8, {"forget_bias": "big"}, "forget_bias='big': must be a number."),
        ("lstm", 8, {"forget_bias": float("inf")}, "forget_bias=inf: must be a number."),
        ("lru", 8, {"radius_max": 1}, "radius_max=1: must be a number above 0 and below 1."),
        ("lru", 8, {"radius_min": 0.9, "radius_max": 0.5}, "radius_min=0.9: must be a number above 0 and below 0.5."),
        ("selective", 8, {"state": 0}, "state=0: must be a whole number >= 1"),
        ("deltanet", 8, {"heads": 3}, "deltanet: width=8 must be a multiple of heads=3"),
        ("attention", 6, {}, "width=6 must be a multiple of heads=4"),
        ("attention", 8, {"heads": 0}, "heads=0: must be a whole number >= 1"),
        ("attention", 4, {"rotary": True}, "rotary turns pairs"),
        ("attention", 8, {"rotary": 1}, "rotary=1: must be true or false"),
    ],
)
def test_bad_options_of_our_layers(layer: str, width: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        known(layer, width, **options)
