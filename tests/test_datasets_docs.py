"""The page on data sets: its blocks are valid."""

from __future__ import annotations

import re
from pathlib import Path

from hwsim.datasets.recipe import read_columns

PAGE = (Path(__file__).parent.parent / "docs" / "datasets.md").read_text(encoding="utf-8")


def test_mapping_file_of_the_page_is_valid(tmp_path: Path) -> None:
    block = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "map.yaml").write_text(block, encoding="utf-8")
    assert set(read_columns(tmp_path / "map.yaml").metrics) == {"latency_s", "power_w"}
