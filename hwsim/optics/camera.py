"""What the camera makes of the light: crosstalk, shot and read noise, its converter, and the root where fields are wanted."""

from __future__ import annotations

import math
from typing import Any

from hwsim.arrays import Array
from hwsim.optics.backend import Backend
from hwsim.optics.bench import Bench


def detected(fields: list[Array], *, bench: Bench, backend: Backend) -> Array:
    """Values that electronics reads from frames of shape `(..., in, rows, columns)`, summed over the input channels.

    Light below nothing reads 0; the converter has 2^b - 1 steps up to full scale.

    Args:
        fields: with coherent light the parts of the field (real, imaginary), else the intensity alone.
    """
    xp, coherent = backend.xp, bench.detection == "coherent"
    perfect = math.isinf(bench.camera_bits) and not bench.shot and bench.read_noise == 0
    if coherent and perfect and len(fields) == 1 and bench.crosstalk_frac == 0:
        return xp.sum(xp.abs(fields[0]), axis=-3)
    light = fields[0] * fields[0] if coherent else xp.clip(fields[0], 0.0, None)
    for further in fields[1:]:
        light += further * further
    full_scale, divisor = backend.peak(light)
    if bench.crosstalk_frac > 0:
        light = _spilled(light, bench.crosstalk_frac, backend)
    steps = 1 if math.isinf(bench.camera_bits) else round(2**bench.camera_bits) - 1
    if bench.shot or bench.read_noise > 0:
        light /= divisor
        light = _noisy(light, bench, backend)
        light *= steps
        light = xp.clip(light, 0.0, None if steps == 1 else steps)
    else:
        light *= steps / divisor
    light = light if steps == 1 else xp.round(light)
    gain = full_scale / steps
    return _sum_of(xp.sqrt(light), xp.sqrt(gain), xp) if coherent else _sum_of(light, gain, xp)


def _sum_of(frames: Array, gains: Array, xp: Any) -> Array:
    """Frames times the gains of their exposures, summed over channels as one product of matrices."""
    *lead, channels, rows, columns = frames.shape
    weights = xp.reshape(gains, (*lead, 1, channels))
    return xp.reshape(xp.matmul(weights, xp.reshape(frames, (*lead, channels, rows * columns))), (*lead, rows, columns))


def _spilled(light: Array, share: float, backend: Backend) -> Array:
    """Each pixel loses a share of its light to its four neighbours; what leaves the frame is lost."""
    found = (1 - share) * light
    part = share / 4 * light
    found[..., :-1, :] += part[..., 1:, :]
    found[..., 1:, :] += part[..., :-1, :]
    found[..., :, :-1] += part[..., :, 1:]
    found[..., :, 1:] += part[..., :, :-1]
    return found


def _noisy(share: Array, bench: Bench, backend: Backend) -> Array:
    """Shot noise (its normal approximation) and read noise, from one draw of their summed variance."""
    noise = backend.normal(tuple(share.shape))
    if not bench.shot:
        noise *= bench.read_noise
    else:
        spread = share / bench.electrons
        spread += bench.read_noise**2
        noise *= backend.xp.sqrt(spread)
    noise += share
    return noise
