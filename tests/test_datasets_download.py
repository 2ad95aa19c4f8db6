"""Sources with a public address: fetched on request, checked, and nothing left behind where they are wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.status import ExitStatus
from hwsim.datasets import adapters, download, store
from hwsim.datasets.recipe import read_recipe
from hwsim.errors import InputError

pytest.importorskip("pyarrow")
pytest.importorskip("pooch")
TABLE = b"net,ms\nlenet5,2.5\nresnet18,-1\n"
RECORD = {
    "uuid": "u1",
    "layers": [{"class_name": "Dense", "n_in": 4, "n_out": 2}],
    "resource_report": {"bram": "1.5", "dsp": "3", "ff": "10", "lut": "20"},
    "latency_report": {"cycles_max": 8, "target_clock": 5.0},
}
RECIPE = """name: mine
summary: measurements from afar
licence: own
source: {{text: afar, url: "{url}", sha256: "{sha256}"}}
adapter: csv
columns: {{graph: net, device: {{value: my-board}}, metrics: {{latency_s: {{column: ms, unit: ms}}}}}}
splits: {{by: graph, test: 0.5}}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a folder with a table and records; fetched files go to a cache of the test."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "my.csv").write_bytes(TABLE)
    (folder / "r.jsonl").write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*args: str) -> tuple[int, str]:
        status = main(list(args))
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: str) -> Callable[[str], None]:
    """Puts a recipe with an address on a shelf of one's own."""

    def put(sha256: str) -> None:
        folder = tmp_path / "own" / "datasets" / "mine"
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(RECIPE.format(url=f"{served}/my.csv", sha256=sha256), encoding="utf-8")
        (folder / "card.md").write_text("# mine\n", encoding="utf-8")
        monkeypatch.setenv("HWSIM_PATH", str(tmp_path / "own"))

    return put


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_file_is_fetched_once(served: str, tmp_path: Path) -> None:
    path = download.fetched(f"{served}/my.csv", digest(TABLE))
    assert path.read_bytes() == TABLE
    (tmp_path / "served" / "my.csv").unlink()
    assert download.fetched(f"{served}/my.csv", digest(TABLE).upper()) == path


def test_another_file_than_expected_is_refused(served: str, tmp_path: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(InputError) as caught:
        download.fetched(f"{served}/my.csv", wrong)
    assert str(caught.value) == f"{served}/my.csv: what came has the SHA-256 {digest(TABLE)}; expected {wrong}. Nothing was kept"
    assert left(tmp_path) == []
    assert not (tmp_path / "cache" / "downloads").exists()


def test_what_changed_in_the_cache_is_fetched_again(served: str) -> None:
    path = download.fetched(f"{served}/my.csv", digest(TABLE))
    path.write_bytes(b"broken")
    assert download.fetched(f"{served}/my.csv", digest(TABLE)).read_bytes() == TABLE


@pytest.mark.parametrize(
    ("url", "sha256", "expected"),
    [
        ("ftp://x/y", "", "found 'ftp://x/y'; expected an address that begins with http:// or https://"),
        ("http://x/y", "abc", "found 'abc' as SHA-256; expected 64 hexadecimal digits, such as `sha256sum FILE` prints"),
    ],
)
def test_what_is_no_address_or_checksum(url: str, sha256: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        download.fetched(url, sha256)
    assert str(caught.value) == expected


def test_an_address_with_nothing(served: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        download.fetched(f"{served}/no.csv", "0" * 64)
    assert str(caught.value).startswith(f"cannot fetch {served}/no.csv: 404")
    with pytest.raises(InputError) as caught:
        download.fetched("http://127.0.0.1:9/no.csv", "0" * 64)
    assert str(caught.value) == "cannot fetch http://127.0.0.1:9/no.csv: no connection"
    assert left(tmp_path) == []


def test_without_a_checksum_what_came_is_told(served: str) -> None:
    told: list[str] = []
    download.fetched(f"{served}/my.csv", tell=told.append)
    assert told[-1] == f"fetched {served}/my.csv; nothing was checked, give --sha256 {digest(TABLE)} from now on"


def test_one_checksum_an_address(served: str) -> None:
    with pytest.raises(InputError) as caught:
        download.local(["a.json", f"{served}/my.csv"], ["0" * 64, "0" * 64])
    assert str(caught.value) == "found 2 --sha256 for 1 address(es); expected one each, in their order, or none"
    assert download.local(["a.json"]) == (Path("a.json"),)


def test_records_from_an_address(run: Any, served: str, tmp_path: Path) -> None:
    given = digest((tmp_path / "served" / "r.jsonl").read_bytes())
    out = tmp_path / "wa"
    status, _ = run("datasets", "build", "wa-hls4ml", f"{served}/r.jsonl", "--sha256", given, "--out", str(out))
    assert (status, store.read(out).numbers("lut").tolist(), read_recipe(out / "recipe.yaml").source.sha256) == (
        ExitStatus.OK,
        [20.0],
        given,
    )


def test_the_folder_of_records_is_their_split(run: Any, served: str, tmp_path: Path) -> None:
    (tmp_path / "served" / "val").mkdir()
    (tmp_path / "served" / "val" / "a.json").write_text(json.dumps([RECORD]), encoding="utf-8")
    assert run("datasets", "build", "wa-hls4ml", f"{served}/val/a.json?download=true", "--out", str(tmp_path / "wa"))[0] == ExitStatus.OK
    assert store.read(tmp_path / "wa").splits == ("validation",)


def test_wrong_records_leave_nothing(run: Any, served: str, tmp_path: Path) -> None:
    status, err = run("datasets", "build", "wa-hls4ml", f"{served}/r.jsonl", "--sha256", "1" * 64, "--out", str(tmp_path / "wa"))
    assert (status, (tmp_path / "wa").exists(), left(tmp_path)) == (ExitStatus.BAD_INPUT, False, [])
    assert "expected " + "1" * 64 in err


def test_a_recipe_with_an_address(run: Any, shelf: Any, served: str, tmp_path: Path) -> None:
    shelf(digest(TABLE))
    known = adapters.measured()["mine"]
    assert known.source.url == f"{served}/my.csv"
    told: list[str] = []
    built = adapters.build("mine", tmp_path / "out", fetch=True, tell=told.append)
    assert (len(built.rows), len(built.apart)) == (1, 1)
    assert told == [f"fetching {served}/my.csv"]
    assert read_recipe(tmp_path / "out" / "recipe.yaml").source == known.source
    assert run("datasets", "check", str(tmp_path / "out"))[0] == ExitStatus.OK


def test_nothing_is_fetched_unasked(shelf: Any, served: str, tmp_path: Path) -> None:
    shelf(digest(TABLE))
    with pytest.raises(Exception, match="has not been fetched; add --download"):
        adapters.build("mine", tmp_path / "out")
    assert left(tmp_path) == []


def test_a_recipe_with_a_wrong_checksum(shelf: Any, tmp_path: Path) -> None:
    shelf("2" * 64)
    with pytest.raises(InputError, match=f"expected {'2' * 64}. Nothing was kept"):
        adapters.build("mine", tmp_path / "out", fetch=True)
    assert (left(tmp_path), (tmp_path / "out").exists()) == ([], False)


def test_sets_without_an_address_say_so(run: Any, tmp_path: Path) -> None:
    status, err = run("datasets", "build", "loihi-runs", "--download", "--out", str(tmp_path / "out"))
    expected = "error: loihi-runs: its recipe has no address (`source: url:`); it is built from files under the data folder\n"
    assert (status, err) == (ExitStatus.BAD_INPUT, expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('sha256: "0"', "", "`source: url:` needs `sha256:`, and no `files:` beside it"),
        ("adapter: csv", "adapter: loihi-runs", "`source: url:` with the adapter 'loihi-runs'; expected one of csv, wa-hls4ml"),
    ],
)
def test_faults_of_an_address_in_a_recipe(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(url="https://x/y.csv", sha256=0).replace(old, new).replace(", }", "}"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert str(caught.value) == f"{path}: {expected}"
