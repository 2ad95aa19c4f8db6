"""The neuromorphic family through the case that third parties subclass, and its own laws."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedOp
from hwsim.targets.neuromorphic import TARGET
from hwsim.targets.neuromorphic.events import Events, event_energy_j
from hwsim.testing import TargetCase


class TestLoihi(TargetCase):
    target = TARGET
    device_name = "loihi1"
    graphs = ("spiking",)


class TestGeneric(TargetCase):
    target = TARGET
    device_name = "neuromorphic-generic"
    graphs = ("spiking",)
    options: ClassVar[dict[str, Any]] = {"timesteps": 8, "firing_rate": 0.05}


def test_event_energy_is_that_of_the_reference_simulator() -> None:
    """Totals of a published DVS-gesture run of SANA-FE on its Loihi description: 128 timesteps, 18,678 neurons."""
    updates = 154.14e-6 / 21.6e-12 - (18678 * 128 * 51.2e-12 + 38081 * 69.3e-12) / 21.6e-12
    happened = Events(
        np.array([18678.0 * 128]),
        np.array([updates]),
        np.array([38081.0]),
        np.array([5437656.0]),
        np.array([386640.0]),
        np.array([928624.0 / 2]),
        np.array([928624.0 / 2]),
    )
    columns: Any = type("Columns", (), {"conv": np.array([1.0]), "sparse": np.array([0.0])})()
    parts = {name: float(value[0]) for name, value in event_energy_j(happened, columns, TARGET.device("loihi1")).items()}
    assert parts["synapse"] == pytest.approx(130.50e-6, rel=0.006)
    assert parts["soma_access"] + parts["soma_update"] + parts["soma_spike"] == pytest.approx(154.14e-6, rel=1e-4)
    assert parts["packet"] + parts["hop"] == pytest.approx(46.40e-6, rel=0.01)


def test_energy_grows_with_the_firing_rate_and_with_timesteps() -> None:
    low, high, longer = (
        hwsim.estimate("keyword_spotter", "loihi1", **options)
        for options in ({"firing_rate": 0.05}, {"firing_rate": 0.1}, {"firing_rate": 0.05, "timesteps": 20})
    )
    assert low.energy_j < high.energy_j
    assert longer.energy_j == pytest.approx(2 * low.energy_j, rel=0.01)


def test_event_static_and_host_energy_stand_apart() -> None:
    chip, board = (hwsim.estimate("keyword_spotter", name).cost for name in ("loihi1", "loihi1-wolfmountain"))
    assert float(chip.energy_j.host) == 0
    events = float(board.extra["soma_j"] + board.extra["synapse_j"] + board.extra["network_j"])
    assert float(board.energy_j.host) > 5 * events
    assert float(board.energy_j.static) > 0


def test_a_network_that_is_too_large_says_so() -> None:
    e = hwsim.estimate("meta_spikeformer_8_512", "loihi1")
    assert not e.fits
    assert e.reasons[0].endswith("cores, loihi1 has 128")
    assert "firing rates of " in e.warnings[0]


def test_what_a_chip_cannot_do_is_named_with_the_remedy() -> None:
    with pytest.raises(UnsupportedOp, match=r"blocks\.0\.attn\.sdpa: attention \(train or convert the network with spiking neurons"):
        hwsim.estimate("vit_b16", "loihi1")


@pytest.mark.parametrize("options", [{"timesteps": 0}, {"firing_rate": 1.5}, {"firing_rate": -0.1}, {"rates": "no-such-file.csv"}])
def test_bad_choices_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        hwsim.estimate("keyword_spotter", "loihi1", **options)


def test_mapping_at_imagenet_scale_is_a_closed_form() -> None:
    import time

    graph, start = hwsim.load("meta_spikeformer_8_512"), time.process_time()
    hwsim.estimate(graph, "loihi2")
    assert time.process_time() - start < 0.5
