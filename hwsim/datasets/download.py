"""Files with a public address, fetched only on request and checked by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import DataMissing, InputError, MissingExtra

Tell = Callable[[str], None]
SCHEMES = ("http://", "https://")
TIMEOUT_S = 30.0
"""Without any byte."""
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def is_address(name: str | Path) -> bool:
    """Whether a text is the address of a file.

    >>> is_address("https://example.org/a.json"), is_address("a.json")
    (True, False)
    """
    return str(name).startswith(SCHEMES)


def kept(url: str, sha256: str) -> Path:
    """Where a fetched file lies (`HWSIM_CACHE`, else `~/.cache/hwsim`), in a folder named as its own; it need not be there."""
    top = Path(os.environ.get("HWSIM_CACHE", Path.home() / ".cache" / "hwsim"))
    parts = [re.sub(r"[^\w.-]", "_", part) for part in url.partition("?")[0].partition("://")[2].split("/")[1:]]
    code = (sha256.lower() or hashlib.sha256(url.encode()).hexdigest())[:16]
    return (top / "downloads" / code).joinpath(*parts[-2:]) if parts[-1:] != [""] and parts else top / "downloads" / code / "file"


def cached(name: str, url: str, sha256: str) -> Path:
    """The fetched source of a data set.

    Raises:
        DataMissing: it has not been fetched.
    """
    path = kept(url, sha256)
    if not path.is_file():
        raise DataMissing(f"{name}: its source {url} has not been fetched; add --download")
    return path


def fetched(url: str, sha256: str = "", *, tell: Tell = lambda line: None) -> Path:
    """A file from its address; one that was fetched before and has the right SHA-256 is not fetched again.

    Args:
        sha256: what the file must have; empty: what it has is told, and it is fetched each time.

    Raises:
        InputError: no address, no checksum, nothing there, or another file than expected; nothing is left behind.
        MissingExtra: pooch is not installed.
    """
    if not is_address(url):
        raise InputError(f"found {url!r}; expected an address that begins with {' or '.join(SCHEMES)}")
    if sha256 and not _DIGEST.fullmatch(sha256):
        raise InputError(f"found {sha256!r} as SHA-256; expected 64 hexadecimal digits, such as `sha256sum FILE` prints")
    path = kept(url, sha256)
    if not sha256:
        path.unlink(missing_ok=True)
    tell(f"fetching {url}")
    _retrieve(_pooch(), url, sha256, path)
    if not sha256:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        tell(f"fetched {url}; nothing was checked, give --sha256 {found} from now on")
    return path


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise MissingExtra("pooch", "data") from None
    pooch.get_logger().setLevel("ERROR")
    return pooch


def _retrieve(pooch: Any, url: str, sha256: str, path: Path) -> None:
    import requests

    loader = pooch.HTTPDownloader(chunk_size=1 << 20, timeout=TIMEOUT_S)
    expected = f"sha256:{sha256.lower()}" if sha256 else None
    try:
        pooch.retrieve(url, expected, fname=path.name, path=path.parent, downloader=loader)
        return
    except requests.RequestException as error:
        why = {requests.ConnectionError: "no connection", requests.Timeout: f"no answer within {TIMEOUT_S:g} s"}
        text = next((said for kind, said in why.items() if isinstance(error, kind)), str(error)[:160])
        reason = InputError(f"cannot fetch {url}: {text}")
    except OSError as error:
        reason = InputError(f"cannot keep {url} in {str(path.parent)!r}: {error.strerror or error}")
    except ValueError as error:
        got = re.search(r"but got\W+(?:sha256:)?(\w{64})", str(error))
        found = f"has the SHA-256 {got[1]}" if got else "has another SHA-256"
        reason = InputError(f"{url}: what came {found}; expected {sha256.lower()}. Nothing was kept")
    _remove_empty(path.parent)
    raise reason


def _remove_empty(folder: Path) -> None:
    for path in (folder, *folder.parents[:2]):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def local(names: Sequence[str], sha256: Sequence[str] = (), *, tell: Tell = lambda line: None) -> tuple[Path, ...]:
    """Paths of files, those with an address fetched; one checksum an address, in their order, or none.

    Raises:
        InputError: another number of checksums than of addresses, or as `fetched`.
    """
    addresses = [name for name in names if is_address(name)]
    if sha256 and len(sha256) != len(addresses):
        raise InputError(f"found {len(sha256)} --sha256 for {len(addresses)} address(es); expected one each, in their order, or none")
    digests = dict(zip(addresses, sha256 or [""] * len(addresses), strict=True))
    return tuple(fetched(name, digests[name], tell=tell) if name in digests else Path(name) for name in names)
