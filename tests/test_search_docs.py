"""The commands and programs of docs/sweep.md and docs/search.md are run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hwsim import cli
from hwsim.sweep import spec

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("sweep.md", "search.md")


def blocks(language: str) -> list[str]:
    return [
        b for page in PAGES for b in re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    ]


def commands() -> list[str]:
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if re.match(r"hwsim (sweep|search) ", line) and "big.yaml" not in line]


@pytest.mark.parametrize("line", commands(), ids=lambda line: " ".join(line.split()[1:3]))
def test_commands(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    assert cli.main([*shlex.split(line)[1:], "--quiet"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_programs(number: int, tmp_path: Path) -> None:
    for library in ("optuna", "torch", "pandas"):
        pytest.importorskip(library)
    path = tmp_path / "program.py"
    path.write_text(blocks("python")[number], encoding="utf-8")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "program"})


def test_sweep_file() -> None:
    (text,) = blocks("yaml")
    from hwsim import yaml12

    assert spec.read(yaml12.loads(text)).space().count == 2 * 4 * 4 * 2
