"""Plugins of other distributions: found, used, and refused where two give one name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim import plugins
from hwsim.errors import PluginClash, UnknownName

PLUGIN = Path(__file__).parent / "plugin"


def distribution(folder: Path, name: str, version: str, entry: str) -> None:
    """What an installer leaves of a distribution with one target."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[hwsim.targets]\n{entry}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of tests/plugin, installed by pip."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(PLUGIN)], check=True, capture_output=True, text=True)
    return folder


def hwsim(site: Path, *args: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(PLUGIN.parent.parent)]), "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-m", "hwsim", *args], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_installed_plugin_is_listed(site: Path) -> None:
    assert {"name": "toy-1", "family": "toy", "summary": "lanes and one memory; a template for other families"} in json.loads(
        hwsim(site, "targets", "list", "--json")
    )


def test_installed_plugin_is_shown_and_changed(site: Path) -> None:
    assert "Toy data sheet, rev. 1" in hwsim(site, "targets", "show", "toy-1")


def test_installed_plugin_estimates(site: Path) -> None:
    code = (
        "import hwsim\nfrom hwsim.testing.graphs import convnet\n"
        "fast, slow = (hwsim.estimate(convnet(), 'toy-1', set={'clock_hz': c}).latency_s for c in ('2 GHz', '100 MHz'))\nprint(fast < slow)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(PLUGIN.parent.parent)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_name_clash_names_both_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_plugins: None) -> None:
    distribution(tmp_path, "first-chip", "1.0", "chip = first_chip:TARGET")
    distribution(tmp_path, "second-chip", "2.3", "chip = second_chip:TARGET")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(plugins, "entry_points", in_alphabetical_order)
    with pytest.raises(PluginClash) as error:
        plugins.available("hwsim.targets")
    assert str(error.value) == (
        "hwsim.targets: the name 'chip' is registered twice, by first-chip 1.0 (first_chip:TARGET) and by second-chip 2.3 "
        "(second_chip:TARGET); uninstall one of them or rename its entry point"
    )


def in_alphabetical_order(*, group: str) -> list:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda point: point.value)


def test_the_same_object_twice_is_no_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_plugins: None) -> None:
    for version in ("1.0", "1.1"):
        distribution(tmp_path, f"chip-{version}", version, "chip = chip:TARGET")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert list(plugins.available("hwsim.targets")) == ["chip"]


def test_unknown_plugin_suggests(small_world: None) -> None:
    with pytest.raises(UnknownName, match=r"^unknown target 'nul'. Did you mean 'null'\?$"):
        plugins.load("hwsim.targets", "nul")


def test_nothing_is_imported_by_listing(small_world: None) -> None:
    assert list(plugins.available("hwsim.targets")) == ["null"]
