"""From linear radiance to what a webcam delivers: exposure, colour, blur, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.types import BgrImage, Float32Array

__all__ = ["expose"]


def expose(
    rng: np.random.Generator, radiance: Float32Array, face: Float32Array, native_px: float
) -> BgrImage:
    """A webcam's picture of ``radiance`` (n, n, 3) linear RGB, as uint8 BGR.

    ``face`` (n, n) weighs what the exposure is set for; ``native_px`` is the width that the
    crop has in the camera's own picture: below n the crop is an enlargement.
    """
    n = len(radiance)
    image = radiance
    sigma = float(abs(rng.normal(0, 0.5)))
    if rng.random() < 0.12:
        sigma += float(rng.uniform(0.5, 1.8))  # out of focus
    if sigma > 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    if rng.random() < 0.12:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), dtype=np.float32)
        angle = rng.uniform(0, np.pi)
        middle = (length - 1) / 2
        for t in np.linspace(-middle, middle, 3 * length):
            kernel[round(middle + t * np.sin(angle)), round(middle + t * np.cos(angle))] += 1
        image = np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.float32)
    luminance = image @ np.array([0.21, 0.72, 0.07], dtype=np.float32)
    weight = face + 0.02
    mean = float((luminance * weight).sum() / weight.sum())
    target = float(np.exp(rng.normal(np.log(0.24), 0.36)))
    if rng.random() < 0.08:
        target *= rng.choice([0.3, 2.6])  # badly exposed
    image = image * (target / max(mean, 1e-4))
    if rng.random() < 0.3:  # what is too bright spreads in the lens
        glare = np.clip(image - 0.9, 0, 4).astype(np.float32)
        spread = float(rng.uniform(0.01, 0.06)) * n
        image = image + rng.uniform(0.05, 0.5) * cv2.GaussianBlur(glare, (0, 0), spread)
    warm = rng.normal(0, 0.07)
    image = image * np.array([1 + warm, 1 + rng.normal(0, 0.03), 1 - warm], dtype=np.float32)

    small = int(np.clip(native_px, 40, 4 * n))
    if small < n:
        image = np.asarray(
            cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), np.float32
        )
    gain = float(np.exp(rng.normal(-4.7, 0.7)))
    image = np.clip(image, 0, None)
    noise = rng.standard_normal(image.shape).astype(np.float32)
    image = image + gain * noise * np.sqrt(image * 0.6 + 0.02)
    if rng.random() < 0.5:  # in-camera noise reduction leaves blotches
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.8)))
    image = np.clip(image, 0, None)
    shoulder = rng.uniform(0.0, 0.6)
    image = image * (1 + shoulder * image * 0.3) / (1 + shoulder * image)
    coded = np.clip(image, 0, 1) ** (1 / rng.uniform(1.9, 2.6))
    contrast = rng.normal(1.0, 0.1)
    coded = np.clip((coded - 0.45) * contrast + 0.45, 0, 1)
    grey = coded.mean(axis=2, keepdims=True)
    coded = np.clip(grey + (coded - grey) * max(0.0, rng.normal(1.0, 0.2)), 0, 1)
    if rng.random() < 0.03:
        coded = np.repeat(grey, 3, axis=2)
    picture = np.ascontiguousarray((coded[..., ::-1] * 255 + 0.5).astype(np.uint8))
    if rng.random() < 0.3:  # sharpening in the camera
        soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
        picture = cv2.addWeighted(picture, 1.6, soft, -0.6, 0)
    quality = int(rng.integers(35, 97))
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    if small < n:
        picture = cv2.resize(picture, (n, n), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture, dtype=np.uint8)
