"""Steady when the face is still, and not late when it moves."""

from __future__ import annotations

import numpy as np

from rtrecon.expression.filter import ExpressionFilter
from rtrecon.expression.names import ARKIT_NAMES

RATE_HZ = 30.0


def run(names: list[str], series: np.ndarray, rate_hz: float = RATE_HZ) -> np.ndarray:
    smooth = ExpressionFilter(names)
    times_ns = (np.arange(len(series)) * 1e9 / rate_hz).astype(np.int64)
    return np.stack(
        [smooth(row.astype(np.float32), int(t)) for row, t in zip(series, times_ns, strict=True)]
    )


def test_a_still_face_is_steadier() -> None:
    rng = np.random.default_rng(1)
    series = 0.3 + rng.normal(0, 0.01, (300, len(ARKIT_NAMES)))
    out = run(list(ARKIT_NAMES), series)
    jitter = np.abs(np.diff(out[30:], axis=0)).mean(axis=0)
    raw = np.abs(np.diff(series[30:], axis=0)).mean(axis=0)
    by_name = dict(zip(ARKIT_NAMES, jitter / raw, strict=True))
    for name in ("browInnerUp", "mouthSmileLeft", "eyeLookOutLeft", "cheekPuff"):
        assert by_name[name] < 0.4
    assert by_name["eyeBlinkLeft"] < 0.75
    np.testing.assert_allclose(out[100:].mean(axis=0), 0.3, atol=0.01)


def test_a_blink_is_seen_whole_and_at_once() -> None:
    # 0.13 s: down within two frames, one closed, up again.
    blink = np.zeros((30, 2))
    blink[10:14, 0] = [0.5, 1.0, 1.0, 0.4]
    out = run(["eyeBlinkLeft", "eyeBlinkRight"], blink)
    assert out[10, 0] > 0.35
    assert out[11:13, 0].max() > 0.93
    assert out[14, 0] < 0.2
    assert out[:, 1].max() == 0.0  # the other eye stays out of it


def test_speech_is_not_late() -> None:
    t = np.arange(120) / RATE_HZ
    jaw = 0.3 + 0.3 * np.sin(2 * np.pi * 2.7 * t)  # 160 syllables a minute
    out = run(["jawOpen"], jaw[:, None])[:, 0]
    assert np.ptp(out[30:]) > 0.85 * np.ptp(jaw[30:])
    lags = [np.corrcoef(out[30 + k :], jaw[30 : len(jaw) - k])[0, 1] for k in range(4)]
    assert np.argmax(lags) == 0


def test_eyes_arrive_together() -> None:
    names = ["eyeLookInLeft", "eyeLookOutRight", "browInnerUp"]
    series = np.zeros((20, 3))
    series[10:] = [0.2, 0.8, 0.1]
    out = run(names, series)
    share = out[10:] / series[10:]
    np.testing.assert_allclose(share[:, 0], share[:, 1], atol=1e-5)
    assert share[0, 2] < share[0, 0]


def test_a_gap_or_a_step_back_begins_anew() -> None:
    smooth = ExpressionFilter(["jawOpen"])
    low, high = np.zeros(1, np.float32), np.ones(1, np.float32)
    smooth(low, 0)
    assert smooth(high, int(2e9))[0] == 1.0
    assert smooth(low, int(1e9))[0] == 0.0
    assert 0.0 < smooth(high, int(1e9))[0] < 1.0  # the same time again
