"""Published optical networks: the printed digits under the published assumptions, and what charging leaves of them."""

from __future__ import annotations

import pytest

from hwsim.targets.optical import published
from hwsim.targets.optical.published import FATNET_TABLE_S, as_published, charged, operations, sample_s


@pytest.mark.parametrize("model", ["resnet18_stride_free", "fatnet"])
@pytest.mark.parametrize("batch", published.BATCHES)
def test_all_four_entries_of_fatnets_table_to_their_last_digit(model: str, batch: int) -> None:
    assert f"{sample_s(as_published(model, batch)):.3e}" == f"{FATNET_TABLE_S[model, batch]:.3e}"


def test_published_operations_and_their_ratios() -> None:
    assert [operations(m) for m in ("resnet18_stride_free", "fatnet", "unet", "fat_unet")] == [1_220_800, 148_637, 3_833_984, 7_123]
    for (first, second), ratio in published.OPERATION_RATIO.items():
        assert operations(first) / operations(second) == pytest.approx(ratio, rel=1e-4)


def test_3136_images_fit_on_a_frame_of_the_first_layer() -> None:
    assert as_published("fatnet").layers[0].extra["tiles"] == 3136


@pytest.mark.parametrize("device", published.CHARGED)
@pytest.mark.parametrize("model", ["resnet18_stride_free", "fatnet"])
@pytest.mark.parametrize("batch", published.BATCHES)
def test_charging_never_beats_the_published_time(device: str, model: str, batch: int) -> None:
    found = charged(model, device, batch)
    assert sample_s(found) > FATNET_TABLE_S[model, batch]
    assert found.energy_j > 0


def test_most_of_the_8_2_is_gone_where_everything_is_charged() -> None:
    def ratio(batch: int, tiling: str) -> float:
        first, second = (charged(m, "fast-slm-2mhz", batch, tiling=tiling) for m in ("resnet18_stride_free", "fatnet"))
        return sample_s(first) / sample_s(second)

    assert 7.5 < ratio(64, "batch") < 8.213
    assert ratio(64, "auto") < 3
    assert ratio(3136, "batch") < 3


def test_a_bench_that_exists_is_behind_a_gpu() -> None:
    for model in published.CONVSHARE:
        for batch in (1, 64):
            assert published.speed_over_gpu(model, "dmd-10khz", "a100-sxm-80gb", batch, dtype="fp32", runtime="eager") < 1


def test_texts_of_the_tables() -> None:
    assert "| fatnet, batch 3136 | 9.479e-05 | 9.479e-05 |" in published.fatnet_text()
    text = published.charged_text()
    assert "not claimed to be reproduced" in text
    assert text.count("\n## ") == 4
