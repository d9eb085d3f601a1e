"""The drawing library is made once, kept, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import vl_convert

from seqscale.reporting.library import ENTRY, library


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the bundler, and collect its calls."""
    calls: list[str] = []

    def bundle(entry: str) -> str:
        calls.append(entry)
        return f"library; {entry}"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    return calls


def test_it_is_bundled_once(made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert library() == library() == f"library; {ENTRY}"
    assert made == [ENTRY]
    assert [path.suffix for path in (tmp_path / "cache" / "seqscale").iterdir()] == [".js"]


def test_no_folder_to_keep_it_in_is_no_error(made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert library() == library() == f"library; {ENTRY}"
    assert made == [ENTRY, ENTRY]
