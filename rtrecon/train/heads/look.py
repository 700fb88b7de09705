"""What varies between pictures of one head: colours of skin, hair, clothes, and surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.types import Float32Array

__all__ = ["Look", "sample_look", "skin_of_tone"]

# Plausible diffuse reflectance of facial skin, linear RGB, from pale to dark: chosen by eye, not
# measured (melanin lowers blue first, blood lowers green).
_SKIN_TONES = np.array(
    [
        [0.66, 0.46, 0.37],
        [0.58, 0.37, 0.28],
        [0.50, 0.30, 0.21],
        [0.42, 0.24, 0.155],
        [0.33, 0.178, 0.108],
        [0.235, 0.118, 0.070],
        [0.15, 0.074, 0.045],
        [0.088, 0.046, 0.031],
        [0.048, 0.029, 0.022],
    ],
    dtype=np.float32,
)
_HAIR_COLORS = np.array(
    [
        [0.012, 0.010, 0.009],
        [0.03, 0.018, 0.011],
        [0.07, 0.038, 0.020],
        [0.16, 0.09, 0.045],
        [0.36, 0.24, 0.12],
        [0.55, 0.42, 0.25],
        [0.28, 0.08, 0.03],
        [0.35, 0.34, 0.33],
        [0.62, 0.61, 0.6],
    ],
    dtype=np.float32,
)


@dataclass(slots=True)
class Look:
    """Colours and surfaces of one variant."""

    skin: Float32Array
    redness: float
    blotch: float
    pores: float
    freckles: float
    lips: Float32Array
    lips_strength: float
    hair: Float32Array
    brow: Float32Array
    brow_density: float
    beard: float
    lid: Float32Array
    lid_strength: float
    scalp_stubble: float
    iris: Float32Array
    cloth: tuple[Float32Array, Float32Array, int]
    hat: tuple[Float32Array, Float32Array, int]
    thing: tuple[Float32Array, Float32Array, int]
    frame: Float32Array
    mask_color: Float32Array
    lens_tint: float
    lens_shine: float
    gloss: float
    gloss_power: float
    wrap: float
    bump: float
    streaks: float
    wrinkles: float
    lash: float


def _fabric(rng: np.random.Generator) -> tuple[Float32Array, Float32Array, int]:
    a = (rng.random(3) ** rng.uniform(0.7, 3.0)).astype(np.float32) * rng.uniform(0.15, 0.9)
    b = (rng.random(3) ** 1.5).astype(np.float32) * 0.8
    if rng.random() < 0.4:
        a[:] = a.mean()
    return a, b, int(rng.integers(0, 6))


def skin_of_tone(tone: float) -> Float32Array:
    """Linear RGB (3,) of ``tone``, 0 palest to 8 darkest."""
    low = min(int(tone), len(_SKIN_TONES) - 2)
    skin = _SKIN_TONES[low] + (tone - low) * (_SKIN_TONES[low + 1] - _SKIN_TONES[low])
    return np.asarray(skin, dtype=np.float32)


def sample_look(rng: np.random.Generator, beard_length_cm: float) -> Look:
    """Random colours; a beard with volume is always coloured as one."""
    tone = rng.uniform(0, len(_SKIN_TONES) - 1)
    skin = skin_of_tone(tone)
    blood = rng.normal(0, 1.0) * np.array([0.03, -0.07, -0.07])
    yellow = rng.normal(0, 0.06) * np.array([0.0, 0.4, -1.0])
    skin = np.clip(skin * rng.uniform(0.85, 1.12) * (1 + blood + yellow), 0.01, 0.85)
    skin = skin.astype(np.float32)
    shares = np.array([0.2, 0.2, 0.16, 0.12, 0.08, 0.07, 0.04, 0.07, 0.06])
    if tone > 3.5 and rng.random() < 0.75:
        shares[3:7] *= 0.1  # dark skin seldom has fair hair
    hair = _HAIR_COLORS[rng.choice(9, p=shares / shares.sum())]
    hair = hair * rng.uniform(0.6, 1.4, 3) ** 0.4
    if rng.random() < 0.04:
        hair = rng.random(3) ** 2 * 0.6  # dyed
    lips = skin * np.array([1.0, 0.62, 0.62]) * rng.uniform(0.7, 1.0)
    strength = float(rng.uniform(0.3, 0.9))
    if rng.random() < 0.22:  # lipstick
        lips, strength = np.array([0.4, 0.03, 0.05]) * rng.uniform(0.3, 1.6, 3), 0.9
    brow = hair * rng.uniform(0.3, 0.9) + skin * rng.uniform(0.0, 0.12)
    beard = 0.0
    if beard_length_cm > 0:
        beard = float(rng.uniform(0.6, 1.0))
    elif rng.random() < 0.3:
        beard = float(rng.uniform(0.1, 0.55))  # stubble
    shadow = rng.random() < 0.2
    return Look(
        skin=skin,
        redness=float(rng.uniform(0.0, 0.35)),
        blotch=float(rng.uniform(0.02, 0.1) if rng.random() < 0.8 else rng.uniform(0.1, 0.25)),
        pores=float(rng.uniform(0.005, 0.05)),
        freckles=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.2 else 0.0,
        lips=lips.astype(np.float32),
        lips_strength=strength,
        hair=np.asarray(hair, dtype=np.float32),
        brow=np.asarray(brow, dtype=np.float32),
        brow_density=float(rng.uniform(0.25, 1.0)),
        beard=beard,
        lid=(rng.random(3) ** 2 * 0.5 if shadow else skin * [0.75, 0.6, 0.6]).astype(np.float32),
        lid_strength=float(rng.uniform(0.2, 0.8) if shadow else rng.uniform(0, 0.6)),
        scalp_stubble=float(rng.uniform(0.0, 0.8)),
        iris=(
            np.array(
                [
                    [0.05, 0.025, 0.012],
                    [0.12, 0.07, 0.03],
                    [0.12, 0.22, 0.35],
                    [0.12, 0.2, 0.1],
                    [0.25, 0.27, 0.28],
                ]
            )[rng.choice(5, p=[0.36, 0.22, 0.16, 0.12, 0.14])]
            * rng.uniform(0.6, 1.3)
        ).astype(np.float32),
        cloth=_fabric(rng),
        hat=_fabric(rng),
        thing=_fabric(rng),
        frame=(rng.random(3) ** 3 * (0.05 if rng.random() < 0.6 else 0.7)).astype(np.float32),
        mask_color=(np.array([0.5, 0.65, 0.75]) if rng.random() < 0.5 else rng.random(3)).astype(
            np.float32
        ),
        lens_tint=float(rng.uniform(0.6, 0.95))
        if rng.random() < 0.2
        else float(rng.uniform(0, 0.15)),
        lens_shine=float(rng.uniform(0.0, 1.0)) if rng.random() < 0.6 else 0.0,
        gloss=float(rng.uniform(0.02, 0.28)),
        gloss_power=float(rng.uniform(8, 60)),
        wrap=float(rng.uniform(0.0, 0.35)),
        bump=float(rng.uniform(0.0, 0.16)),
        streaks=float(rng.uniform(0.15, 0.6)),
        wrinkles=float(0.6 * rng.random() ** 2),
        lash=float(rng.uniform(0.2, 1.0)),
    )
