"""What the camera makes of the light: crosstalk, shot and read noise, its converter, and the root where fields are wanted."""

from __future__ import annotations

import math

from hwsim.arrays import Array
from hwsim.optics.backend import Backend
from hwsim.optics.bench import Bench


def detected(fields: list[Array], *, bench: Bench, backend: Backend) -> Array:
    """Values that electronics reads from frames of shape `(..., rows, columns)`.

    Args:
        fields: with coherent light the parts of the field (real, imaginary), else the intensity alone.
    """
    xp, coherent = backend.xp, bench.detection == "coherent"
    perfect = math.isinf(bench.camera_bits) and not bench.shot and bench.read_noise == 0
    if coherent and perfect and len(fields) == 1 and bench.crosstalk_frac == 0:
        return xp.abs(fields[0])
    light = sum(f * f for f in fields) if coherent else xp.clip(fields[0], 0.0, None)
    full_scale, divisor = backend.peak(light)
    if bench.crosstalk_frac > 0:
        light = _spilled(light, bench.crosstalk_frac, backend)
    if not perfect:
        light = light / divisor
        light = _converted(_noisy(light, bench, backend), bench, backend)
    light = xp.sqrt(light) if coherent else light
    if not perfect:
        light *= xp.sqrt(full_scale) if coherent else full_scale
    return light


def _spilled(light: Array, share: float, backend: Backend) -> Array:
    """Each pixel loses a share of its light to its four neighbours; what leaves the frame is lost."""
    xp = backend.xp
    rows, columns = xp.zeros_like(light[..., :1, :]), xp.zeros_like(light[..., :, :1])
    near = xp.concat([light[..., 1:, :], rows], axis=-2) + xp.concat([rows, light[..., :-1, :]], axis=-2)
    near = near + xp.concat([light[..., :, 1:], columns], axis=-1) + xp.concat([columns, light[..., :, :-1]], axis=-1)
    return (1 - share) * light + share / 4 * near


def _noisy(share: Array, bench: Bench, backend: Backend) -> Array:
    """Shot noise (its normal approximation) and read noise, from one draw of their summed variance."""
    if not bench.shot and bench.read_noise == 0:
        return share
    if not bench.shot:
        return share + bench.read_noise * backend.normal(tuple(share.shape))
    noise = share / bench.electrons
    noise += bench.read_noise**2
    noise = backend.xp.sqrt(noise)
    noise *= backend.normal(tuple(share.shape))
    noise += share
    return noise


def _converted(share: Array, bench: Bench, backend: Backend) -> Array:
    """Light below nothing reads 0; the converter has 2^b - 1 steps up to full scale."""
    xp = backend.xp
    noisy = bench.shot or bench.read_noise > 0
    if math.isinf(bench.camera_bits):
        return xp.clip(share, 0.0, None)
    steps = round(2**bench.camera_bits) - 1
    share = xp.clip(share, 0.0, 1.0) if noisy else share
    share *= steps
    share = xp.round(share)
    share /= steps
    return share
