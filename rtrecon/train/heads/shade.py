"""Shades a geometry buffer: albedo, lights with soft shadows, occlusion, highlights.

Linear RGB throughout; the sensor turns it into a picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.train.heads.look import Look
from rtrecon.train.heads.raster import GeometryBuffer
from rtrecon.train.heads.regions import Material
from rtrecon.types import Float32Array

__all__ = ["NoiseBank", "Shader", "environment", "sample_lights"]


class NoiseBank:
    """Tileable fractal noise, zero mean and unit variance, looked up by coordinates."""

    SIZE = 512

    def __init__(self, count: int = 10) -> None:
        rng = np.random.default_rng(20260101)
        self._maps = []
        for k in range(count):
            total = np.zeros((self.SIZE, self.SIZE), dtype=np.float32)
            gain = 1.0
            for sigma in (24.0, 10.0, 4.0, 1.6, 0.7)[k % 3 :]:
                raw = rng.standard_normal(total.shape).astype(np.float32)
                raw = np.pad(raw, 64, mode="wrap")
                smooth = cv2.GaussianBlur(raw, (0, 0), sigma)[64:-64, 64:-64]
                total += gain * smooth / smooth.std()
                gain *= 0.65
            self._maps.append((total - total.mean()) / total.std())

    def __call__(self, k: int, u: Float32Array, v: Float32Array) -> Float32Array:
        """Noise map ``k`` at texture coordinates (one tile is 1)."""
        n = self.SIZE
        looked_up = cv2.remap(
            self._maps[k % len(self._maps)],
            np.mod(u * n, n).astype(np.float32),
            np.mod(v * n, n).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(looked_up, dtype=np.float32)

    def image(self, rng: np.random.Generator, size: int, zoom: float) -> Float32Array:
        """A random (size, size) window of a random map, ``zoom`` times enlarged."""
        k = int(rng.integers(len(self._maps)))
        at = np.arange(size, dtype=np.float32) / (self.SIZE * zoom)
        u, v = np.meshgrid(at + rng.random(), at + rng.random())
        return self(k, u.astype(np.float32), v.astype(np.float32))


_ROW = 256


class Shader:
    """Shades one geometry buffer; what does not change with the light is computed once."""

    def __init__(self, noise: NoiseBank, buffer: GeometryBuffer, px_per_m: float) -> None:
        self._noise = noise
        self._b = buffer
        self._px_per_m = px_per_m
        self.solid = buffer.material > 0
        z = buffer.z_m
        near = float(np.min(z[self.solid])) if self.solid.any() else 1.0
        filled = np.where(self.solid, z, near + 0.6).astype(np.float32)
        half = (z.shape[1] // 2, z.shape[0] // 2)
        self._half_z: Float32Array = np.asarray(
            cv2.resize(filled, half, interpolation=cv2.INTER_NEAREST), np.float32
        )
        # Shading works on the solid pixels alone, as rows of a small picture.
        count = int(self.solid.sum())
        rows = max(1, -(-count // _ROW))
        flat = np.flatnonzero(self.solid) if count else np.zeros(1, dtype=np.int64)
        self._index = np.resize(flat, rows * _ROW).reshape(rows, _ROW)
        self._index.ravel()[len(flat) :] = flat[-1]
        self._material = buffer.material.ravel()[self._index]
        self._uv = buffer.uv.reshape(-1, 2)[self._index]
        self._weights = buffer.weights.reshape(-1, 8)[self._index]
        self._normal = buffer.normal.reshape(-1, 3)[self._index]
        self.occlusion = self._ambient_occlusion()

    def _ambient_occlusion(self) -> Float32Array:
        z = self._half_z
        total = np.zeros_like(z)
        px = self._px_per_m * 0.5
        for radius_m, gain in ((0.006, 60.0), (0.016, 34.0), (0.035, 16.0)):
            sigma = max(0.6, radius_m * px)
            limit = np.minimum(z, z.min() + 0.45)
            blurred = cv2.GaussianBlur(limit, (0, 0), sigma)
            total += gain * np.clip(limit - blurred, 0.0, 0.03)
        darkness = np.exp(-total)
        size = (self._b.z_m.shape[1], self._b.z_m.shape[0])
        return np.asarray(cv2.resize(darkness, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def shadow(self, direction: Float32Array, softness_m: float) -> Float32Array:
        """Light that reaches each pixel from ``direction`` (3,) camera frame, in [0, 1].

        Marches the depth buffer toward the light by whole-picture shifts: exact for
        parallel light as long as the perspective within the head is weak.
        """
        z = self._half_z
        px = self._px_per_m * 0.5
        height, width = z.shape
        dark = np.zeros_like(z)
        lateral = max(float(np.hypot(direction[0], direction[1])), 1e-3)
        step, t = 1.0 / (lateral * px), 0.0
        for k in range(18):
            t += step * (1.0 + 0.28 * k)
            dx, dy = round(t * direction[0] * px), round(t * direction[1] * px)
            if abs(dx) >= width or abs(dy) >= height or t > 0.3:
                break
            y0, y1 = max(0, -dy), min(height, height - dy)
            x0, x1 = max(0, -dx), min(width, width - dx)
            here = z[y0:y1, x0:x1]
            there = z[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
            ray = here + np.float32(t * direction[2])
            depth = ray - there
            hit = np.clip((depth - 0.0015) / 0.004, 0, 1) * (depth < 0.09)
            np.maximum(dark[y0:y1, x0:x1], hit, out=dark[y0:y1, x0:x1])
        sigma = max(0.6, softness_m * px)
        light = 1.0 - cv2.GaussianBlur(dark, (0, 0), sigma)
        size = (self._b.z_m.shape[1], self._b.z_m.shape[0])
        return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def albedo(self, rng: np.random.Generator, look: Look) -> tuple[Float32Array, Float32Array]:
        """Linear RGB albedo (r, 256, 3) and bump height (r, 256) of the solid pixels."""
        noise = self._noise
        u, v = self._uv[..., 0], self._uv[..., 1]
        W = self._weights
        shift = rng.random(8).astype(np.float32)
        material = self._material
        out = np.zeros((*material.shape, 3), dtype=np.float32)
        blotch = noise(0, u * 0.9 + shift[0], v * 0.9 + shift[1])
        fine = noise(5, u * 5.0 + shift[2], v * 5.0 + shift[3])
        grain = noise(8, u * 11.0 + shift[4], v * 11.0 + shift[5])

        skin = look.skin[None, None] * (
            1.0 + look.blotch * blotch[..., None] + look.pores * fine[..., None]
        )
        red = look.redness * (0.7 * W[..., 3] + 0.8 * W[..., 5] + 0.25 * (blotch > 1.0))
        skin = skin * (1.0 - red[..., None] * np.array([0.05, 0.45, 0.4], dtype=np.float32))
        spots = np.clip(fine - 1.2, 0, 1) * W[..., 7] * look.freckles
        skin = skin * (1.0 - spots[..., None] * np.array([0.35, 0.5, 0.6], dtype=np.float32))
        crease = noise(3, u * 1.8 + shift[6], v * 6.0 + shift[7]) * look.wrinkles
        skin = skin * (1.0 + 0.05 * crease[..., None])
        skin = _mix(skin, look.lid, W[..., 4] * look.lid_strength)
        skin = _mix(skin, look.lips * (1 + 0.12 * fine[..., None]), W[..., 0] * look.lips_strength)
        strands = np.clip(0.65 + 0.45 * grain, 0, 1)
        skin = _mix(skin, look.brow, W[..., 1] * look.brow_density * strands)
        skin = _mix(
            skin,
            look.hair * (0.8 + 0.4 * strands[..., None]),
            np.clip(W[..., 2] * look.beard * (0.55 + 0.6 * strands), 0, 1),
        )
        skin = _mix(skin, look.hair, W[..., 6] * look.scalp_stubble * (0.6 + 0.4 * strands))
        out = np.where((material == Material.SKIN)[..., None], np.clip(skin, 0.003, 0.95), out)
        lash = material == Material.LASH
        if lash.any():
            out[lash] = _mix(skin[lash], look.hair * 0.3, np.float32(look.lash) * strands[lash])

        eye = material == Material.EYE
        if eye.any():
            r = np.hypot(u, v)
            white = (
                np.array([0.62, 0.56, 0.53], np.float32) * (1 - 0.25 * np.clip(r, 0, 1))[..., None]
            )
            iris = look.iris * (0.8 + 0.35 * np.sin(40 * np.arctan2(v, u)) ** 2)[..., None]
            edge = np.clip((0.50 - r) / 0.05, 0, 1)[..., None]
            pupil = np.clip((0.20 - r) / 0.03, 0, 1)[..., None]
            rim = 1 - 0.6 * np.clip((r - 0.40) / 0.08, 0, 1)[..., None]
            colour = white * (1 - edge) + iris * rim * edge
            out = np.where(eye[..., None], colour * (1 - pupil) + 0.004 * pupil, out)
        for of, colour in (
            (Material.TEETH, np.array([0.78, 0.72, 0.6]) * (0.65 + 0.35 * shift[6])),
            (Material.GUMS, np.array([0.38, 0.12, 0.11])),
            (Material.MOUTH, np.array([0.10, 0.03, 0.03])),
            (Material.FRAME, look.frame),
            (Material.HAND, look.skin * 0.95),
        ):
            here = material == of
            if here.any():
                out[here] = colour
        hair = material == Material.HAIR
        if hair.any():
            streak = noise(3, u * 7.0 + shift[0], v * 0.25 + shift[1])
            wave = noise(6, u * 1.5 + shift[2], v * 0.5 + shift[3])
            shade = np.clip(1 + look.streaks * streak + 0.3 * wave, 0.2, 2.6)
            out = np.where(hair[..., None], look.hair * shade[..., None], out)
        for of, fabric in (
            (Material.CLOTH, look.cloth),
            (Material.HAT, look.hat),
            (Material.OBJECT, look.thing),
        ):
            here = material == of
            if here.any():
                out = np.where(here[..., None], self._fabric(fabric, u, v, blotch, fine), out)
        here = material == Material.FACE_MASK
        if here.any():
            pleats = 1 + 0.06 * np.sin(v * 60)
            out = np.where(here[..., None], look.mask_color * pleats[..., None], out)
        bump = 0.6 * fine + 0.5 * grain
        beard = np.clip(W[..., 2] * look.beard, 0, 1)
        height = bump * (0.4 + 2.0 * beard) + 1.2 * crease
        height = np.where(material == Material.SKIN, height, 0.0)
        if hair.any():
            height = np.where(hair, 3.0 * streak, height)
        return np.clip(out, 0.002, 1.0).astype(np.float32), height.astype(np.float32)

    @staticmethod
    def _fabric(
        fabric: tuple[Float32Array, Float32Array, int],
        u: Float32Array,
        v: Float32Array,
        blotch: Float32Array,
        fine: Float32Array,
    ) -> Float32Array:
        first, second, kind = fabric
        if kind == 1:
            pattern = (np.sin(v * 70) > 0.2).astype(np.float32)
        elif kind == 2:
            pattern = ((np.sin(u * 60) > 0) ^ (np.sin(v * 60) > 0)).astype(np.float32)
        elif kind == 3:
            pattern = (blotch > 0.4).astype(np.float32)
        elif kind == 4:
            pattern = (np.sin(u * 50) > 0.6).astype(np.float32)
        else:
            pattern = np.zeros_like(u)
        return _mix(np.broadcast_to(first, (*u.shape, 3)), second, pattern) * (
            1 + 0.08 * fine[..., None]
        )

    def bumped(self, height: Float32Array, amount: float) -> Float32Array:
        """Normals (r, 256, 3) tilted by the slope of a height (r, 256)."""
        if amount <= 0:
            return self._normal
        full = np.zeros(self.solid.shape, dtype=np.float32)
        full.ravel()[self._index] = height
        gx = cv2.Sobel(full, cv2.CV_32F, 1, 0, scale=0.125).ravel()[self._index]
        gy = cv2.Sobel(full, cv2.CV_32F, 0, 1, scale=0.125).ravel()[self._index]
        normal = self._normal.copy()
        normal[..., 0] -= amount * np.clip(gx, -1, 1)
        normal[..., 1] -= amount * np.clip(gy, -1, 1)
        normal /= np.sqrt(np.einsum("rck,rck->rc", normal, normal))[..., None] + 1e-6
        return normal

    def shade(self, rng: np.random.Generator, look: Look) -> Float32Array:
        """Linear radiance (h, w, 3); 0 where nothing is."""
        colour, height = self.albedo(rng, look)
        n = self.bumped(height, look.bump)
        material = self._material
        skinlike = (material == Material.SKIN) | (material == Material.HAND)
        wrap = np.where(skinlike, look.wrap, 0.1).astype(np.float32)
        gloss = np.zeros(material.shape, np.float32)
        power = np.full(material.shape, 20.0, np.float32)
        for of, strength, sharp in (
            (Material.SKIN, look.gloss, look.gloss_power),
            (Material.HAND, look.gloss, 20.0),
            (Material.EYE, 2.5, 500.0),
            (Material.TEETH, 0.6, 120.0),
            (Material.GUMS, 0.5, 80.0),
            (Material.HAIR, 0.25, 18.0),
            (Material.FRAME, 0.8, 80.0),
            (Material.OBJECT, 0.4, 60.0),
        ):
            here = material == of
            gloss[here], power[here] = strength, sharp
        gloss *= 1 + 0.8 * self._weights[..., 0] + 0.6 * self._weights[..., 5]
        occlusion = self.occlusion.ravel()[self._index] ** np.float32(rng.uniform(0.35, 1.3))
        # Lips and tongue scatter light onto the teeth: they are bright in photographs.
        teeth = material == Material.TEETH
        occlusion = np.where(teeth, occlusion**0.4, occlusion)

        surroundings, base = environment(rng, n)
        diffuse = surroundings * occlusion[..., None]
        specular = np.zeros_like(diffuse)
        for direction, light, softness in sample_lights(rng):
            ndl = n @ direction
            lit = np.clip((ndl + wrap) / (1 + wrap), 0, None)
            reach = self.shadow(direction, softness).ravel()[self._index]
            reach = np.where(teeth, 0.5 + 0.5 * reach, reach)
            lit = lit * reach
            diffuse = diffuse + lit[..., None] * light
            half = direction + np.array([0, 0, -1], np.float32)
            half /= max(float(np.linalg.norm(half)), 1e-6)
            ndh = np.clip(n @ half, 0, 1)
            lobe = gloss * np.exp(power * (ndh - 1.0)) * reach * (ndl > 0)
            specular = specular + lobe[..., None] * light
        edge = (1 + n[..., 2]) ** 4  # Fresnel toward grazing
        specular += (0.08 * edge * gloss * occlusion)[..., None] * base.astype(np.float32)
        radiance = np.zeros((*self.solid.shape, 3), dtype=np.float32)
        if self.solid.any():
            radiance.reshape(-1, 3)[self._index] = colour * diffuse + specular
        return radiance


def environment(
    rng: np.random.Generator, normal: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """Light of the surroundings on ``normal`` (r, 256, 3), linear RGB, and its mean (3,).

    Spherical harmonics up to the second order, which carry nearly all of it (Ramamoorthi and
    Hanrahan 2001).
    """
    base = (np.array([1, 1, 1]) + rng.normal(0, 0.06, 3)) * rng.uniform(0.15, 0.7)
    if rng.random() < 0.12:  # light from everywhere, or skin that was photographed under it
        gradient = rng.normal(0, 0.08, (3, 1)) * base[None]
        light = base + normal @ gradient.astype(np.float32)
        return np.clip(light, 0.02, None).astype(np.float32), base.astype(np.float32)
    gradient = rng.normal(0, 0.35, (3, 1)) * base[None] + rng.normal(0, 0.02, (3, 3))
    gradient[1] -= base * rng.uniform(0.0, 0.7)  # more light from above (-y)
    curve = rng.normal(0, 0.18, (3, 3))
    second = np.einsum("rck,kl,rcl->rc", normal, curve.astype(np.float32), normal, optimize=True)
    light = base + normal @ gradient.astype(np.float32) + second[..., None] * base
    return np.clip(light, 0.02, None).astype(np.float32), base.astype(np.float32)


def sample_lights(
    rng: np.random.Generator,
) -> list[tuple[Float32Array, Float32Array, float]]:
    """Directions toward the lights (camera frame), linear colours, softness in metres."""
    lights = []
    scheme = rng.choice(
        ["frontal", "side", "top", "screen", "back", "many", "flat"],
        p=[0.2, 0.22, 0.15, 0.11, 0.08, 0.14, 0.10],
    )
    count = {"many": 3, "flat": 0}.get(str(scheme), 1) + int(rng.random() < 0.45)
    for k in range(count):
        if k > 0 or scheme == "many":
            az, el = rng.uniform(-150, 150), rng.uniform(-20, 65)
        elif scheme == "frontal":
            az, el = rng.normal(0, 25), rng.normal(20, 15)
        elif scheme == "side":
            az, el = rng.choice([-1, 1]) * rng.uniform(35, 95), rng.normal(20, 18)
        elif scheme == "top":
            az, el = rng.uniform(-60, 60), rng.uniform(45, 85)
        elif scheme == "screen":
            az, el = rng.normal(0, 20), rng.uniform(-30, 5)
        else:
            az, el = rng.choice([-1, 1]) * rng.uniform(105, 165), rng.uniform(0, 45)
        a, e = np.radians(az), np.radians(el)
        direction = np.array([np.sin(a) * np.cos(e), -np.sin(e), -np.cos(a) * np.cos(e)])
        warm = rng.normal(0, 0.09)
        tint = np.array([1 + warm, 1.0, 1 - warm])
        if rng.random() < 0.05 or (scheme == "screen" and rng.random() < 0.3):
            tint = tint * rng.uniform(0.4, 1.2, 3)
        strength = rng.uniform(0.4, 1.8) if k == 0 else rng.uniform(0.1, 0.8)
        lights.append(
            (
                direction.astype(np.float32),
                (tint * strength).astype(np.float32),
                float(rng.choice([0.001, 0.004, 0.012])),
            )
        )
    return lights


def _mix(base: Float32Array, colour: Float32Array, weight: Float32Array) -> Float32Array:
    w = np.clip(weight, 0, 1)[..., None]
    return (base * (1 - w) + colour * w).astype(np.float32)
