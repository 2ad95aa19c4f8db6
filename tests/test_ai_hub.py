"""Networks of Qualcomm AI Hub: which can be built, as what, and what the adapter makes of the tables."""

from __future__ import annotations

import importlib.util

import pytest

import hwsim
from hwsim.datasets import ai_hub, ai_hub_models
from hwsim.datasets.locate import data_path
from hwsim.errors import DataMissing


def there() -> bool:
    try:
        data_path("gpu", "qualcomm_ai_hub", "aihub_perf.parquet")
    except DataMissing:
        return False
    return True


needs_data = pytest.mark.skipif(not there(), reason="the measurements are not here")
STATED_OTHERWISE = ("distil_bert_base_uncased_hf", "mobile_bert_uncased_google")
"""Networks whose stated number of parameters is another one's."""


def test_kinds_name_known_networks():
    listed = [name for names in ai_hub_models.FAMILIES.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(ai_hub_models.GRAPHS)
    assert set(ai_hub_models.SAME) <= set(ai_hub_models.GRAPHS)


def test_what_is_left_out_has_a_reason():
    assert ai_hub_models.reason("stable_diffusion_v1_5/unet") == "generates or edits images"
    assert ai_hub_models.reason("yolov7") == "public, not defined here"
    left = [name for names in ai_hub_models.REASONS.values() for name in names]
    assert not set(left) & set(ai_hub_models.GRAPHS)


@pytest.mark.parametrize("name", ["yolov8_det", "yolov11_seg", "esrgan", "quicksrnetlarge", "xlsr", "sesr_m5", "real_esrgan_general_x4v3"])
def test_own_definitions_have_the_stated_parameters(name):
    stated = {
        "yolov8_det": 3.18e6, "yolov11_seg": 2.89e6, "esrgan": 16.7e6, "quicksrnetlarge": 436e3, "xlsr": 28.0e3, "sesr_m5": 343e3,
        "real_esrgan_general_x4v3": 1.21e6,
    }[name]  # fmt: skip
    assert hwsim.load(ai_hub_models.GRAPHS[name]).parameters == pytest.approx(stated, rel=0.01)


def test_detection_answers_for_every_place():
    graph = hwsim.load("yolov8n")
    boxes, scores = (graph.tensors[name].shape for name in graph.outputs)
    assert (boxes, scores) == ((1, 4, 8400), (1, 80, 8400))
    assert graph.macs == pytest.approx(4.37e9, rel=0.01)  # 8.7 GFLOP are published
    masks = hwsim.load("yolo11n_seg")
    assert [masks.tensors[name].shape for name in masks.outputs[2:]] == [(1, 32, 8400), (1, 32, 160, 160)]


def test_super_resolution_enlarges():
    for name in ("quicksrnet_small", "sesr_m5", "xlsr", "srvgg_x4v3", "esrgan?depth=1"):
        graph = hwsim.load(name)
        assert graph.tensors[graph.outputs[0]].shape == (1, 3, 512, 512), name


def test_torchvision_names():
    if importlib.util.find_spec("torchvision") is None:  # importing it may fail where it does not fit torch; hwsim copes
        pytest.skip("torchvision is not installed")
    assert hwsim.load("torchvision:squeezenet1_1").parameters == 1_235_496
    clip = hwsim.load("torchvision:mc3_18?frames=8&img_size=112")
    assert clip.tensors[clip.inputs[0]].shape == (1, 3, 8, 112, 112)
    with pytest.raises(hwsim.errors.UnknownName, match="unknown torchvision model 'resnet51'"):
        hwsim.load("torchvision:resnet51")
    with pytest.raises(hwsim.errors.UnknownName):
        hwsim.load("torchvision:fasterrcnn_resnet50_fpn")


@needs_data
def test_each_job_stands_once():
    pytest.importorskip("pandas")
    found = ai_hub.runs()
    assert found.job_id.is_unique
    assert set(found.device) == set(ai_hub.DEVICES.values())
    assert (found.graph != "").sum() > 2000


@needs_data
def test_what_is_predicted_ran_on_the_npu():
    pytest.importorskip("pandas")
    found = ai_hub.on_npu()
    assert set(found.unit) == {"NPU"}
    assert not found.fallen_back.any()
    assert set(found.dtype) <= set(ai_hub.DTYPES.values())


@needs_data
def test_stated_parameters_are_those_of_the_graphs():
    pytest.importorskip("pandas")
    from hwsim.zoo import names

    found = ai_hub.runs()
    stated = found[found.params.notna()].groupby("name").params.first()
    for name, source in ai_hub_models.GRAPHS.items():
        if source.partition("?")[0] in names() and name in stated.index and name not in STATED_OTHERWISE:
            text = stated[name]
            value = float(text[:-1]) * {"M": 1e6, "K": 1e3}[text[-1]]
            assert hwsim.load(source).parameters == pytest.approx(value, rel=0.06), name
