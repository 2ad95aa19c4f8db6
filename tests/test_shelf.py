"""Where devices are found, and what a description inherits."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim import shelf
from hwsim.errors import InputError, UnknownName

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts a YAML file into a folder that HWSIM_PATH names."""
    monkeypatch.setenv("HWSIM_PATH", str(tmp_path))

    def put(name: str, text: str) -> Path:
        path = tmp_path / "targets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


def quantity(value: float, source: str = "sheet") -> str:
    return f"{{value: {value}, source: {source}, status: datasheet}}"


@pytest.mark.parametrize("name", shelf.SHELVES)
def test_our_shelves_hold_content_without_code(name: str) -> None:
    folder = shelf.checkout(name)
    assert folder.is_dir()
    assert not [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]


def test_names_are_unique_over_families_and_so_are_aliases() -> None:
    everything = shelf.devices()
    by_family = {path.parent.name for path in everything.values()}
    assert sum(len(shelf.devices(family)) for family in by_family) == len(everything)
    from hwsim import yaml12

    aliases = [alias.casefold() for path in everything.values() for alias in (yaml12.load(path).get("aliases") or ())]
    assert len(aliases) == len(set(aliases))
    assert not {*aliases} & {*everything}


def test_fitted_constants_are_no_devices() -> None:
    assert not [path for path in shelf.devices().values() if "fitted" in path.parts]


@pytest.mark.parametrize("name", ["h200-sxm", "H200-SXM", "NVIDIA H200", "nvidia h200", "h200"])
def test_a_device_goes_by_its_name_and_aliases(name: str) -> None:
    assert shelf.find(name).name == "h200-sxm.yaml"
    assert shelf.find(name, family="gpu").name == "h200-sxm.yaml"
    assert shelf.family_of(name) == "gpu"


def test_an_unknown_device_is_told_the_nearest_ones() -> None:
    with pytest.raises(UnknownName) as error:
        shelf.find("l40")
    assert str(error.value) == "unknown device 'l40'. Did you mean 'l40s' or 'l4' or 'a40'?"
    with pytest.raises(UnknownName) as error:
        shelf.find("zz", family="none")
    assert str(error.value) == "unknown device 'zz'. Known: none."
    with pytest.raises(UnknownName):
        shelf.find("h200", family="none")


def test_an_unknown_file_is_an_input_error() -> None:
    with pytest.raises(InputError) as error:
        shelf.find("my/gpu.yaml")
    assert str(error.value) == "no device file 'my/gpu.yaml'; expected a path to a YAML file, or a name from `hwsim targets list`"


def test_folders_of_the_environment_come_first(write: Write) -> None:
    own = write("gpu/t4.yaml", "summary: mine")
    new = write("gpu/x1.yaml", "aliases: [The X]")
    assert shelf.find("t4") == own
    assert shelf.find("the x") == new
    assert {"x1", "t4", "l4"} <= set(shelf.devices("gpu"))


def test_two_devices_of_one_name_on_a_shelf(write: Write) -> None:
    one, two = write("fpga/x.yaml", ""), write("gpu/x.yaml", "")
    with pytest.raises(InputError) as error:
        shelf.devices()
    assert str(error.value) == f"two devices are called 'x': {one} and {two}; rename one of them"


def test_fields_are_inherited_with_the_citation_of_the_file_that_states_them(write: Write) -> None:
    a, b = quantity(1), quantity(2)
    write("gpu/base.yaml", f"{{summary: old, aliases: [b], vendor: v, sources: {{sheet: Sheet of base}}, fields: {{one: {a}, two: {b}}}}}")
    write("gpu/new.yaml", f"{{extends: base, sources: {{sheet: Sheet of new}}, fields: {{two: {quantity(3)}}}}}")
    assert shelf.description("new", family="gpu") == {
        "vendor": "v",
        "sources": {"sheet": "Sheet of new"},
        "fields": {
            "one": {"value": 1, "source": "Sheet of base", "status": "datasheet"},
            "two": {"value": 3, "source": "Sheet of new", "status": "datasheet"},
        },
    }


def test_a_file_may_extend_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("{family: gpu, vendor: v}", encoding="utf-8")
    (tmp_path / "new.yaml").write_text("extends: base.yaml", encoding="utf-8")
    assert shelf.description(str(tmp_path / "new.yaml"), family="gpu")["vendor"] == "v"


def test_a_circle_of_extends(write: Write) -> None:
    write("gpu/a.yaml", "extends: b")
    write("gpu/b.yaml", "extends: c")
    write("gpu/c.yaml", "extends: a")
    with pytest.raises(InputError) as error:
        shelf.description("a", family="gpu")
    assert str(error.value) == "device 'a' extends itself: a -> b -> c -> a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: [a]", "{path}: `extends:` is ['a']; expected the name of a device, or a path to its YAML file"),
        ("extends: l40", "unknown device 'l40'. Did you mean 'l40s' or 'l4' or 'a40'?"),
        ("- a", "x: found list; expected a mapping with `fields:`"),
        ("", "x: found NoneType; expected a mapping with `fields:`"),
        ("fields: [a]", "x: `fields:` is ['a']; expected a mapping"),
        ("sources: text", "x: `sources:` is 'text'; expected a mapping"),
    ],
)
def test_a_wrong_description_is_refused(write: Write, text: str, message: str) -> None:
    path = write("gpu/x.yaml", text)
    with pytest.raises(InputError) as error:
        shelf.description("x", family="gpu")
    assert str(error.value) == message.format(path=path)


def test_the_family_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text, family in (("family: null-ish", "null-ish"), ("extends: t4", "gpu")):
        path.write_text(text, encoding="utf-8")
        assert shelf.family_of(str(path)) == family
    path.write_text("summary: x", encoding="utf-8")
    with pytest.raises(InputError, match=r"says neither `family:` nor `extends:`; expected one of them, families are .*gpu"):
        shelf.family_of(str(path))


def test_fitted_constants_have_values_and_sources() -> None:
    for path in sorted((shelf.checkout("targets") / "gpu" / "fitted").glob("*.yaml")):
        if path.stem == "validation":
            continue
        found = shelf.fitted("gpu", path.stem)
        assert found, path
        assert all(q.source for q in found.values())
    assert shelf.fitted("gpu", "no-such-kernel") == {}


def test_documentation_runs() -> None:
    assert doctest.testmod(shelf).failed == 0
