"""VRM's presets as mixtures of ARKit's shapes."""

from __future__ import annotations

__all__ = ["PRESETS", "PRESETS_OF_VRM0"]


def _both(**weights: float) -> dict[str, float]:
    """The shapes of both sides."""
    sides = ("Left", "Right")
    return {f"{name}{side}": weight for name, weight in weights.items() for side in sides}


PRESETS: dict[str, dict[str, float]] = {
    "neutral": {},
    "aa": {"jawOpen": 0.55, **_both(mouthLowerDown=0.2, mouthUpperUp=0.1)},
    "ih": {"jawOpen": 0.15, **_both(mouthStretch=0.35, mouthLowerDown=0.25, mouthUpperUp=0.1)},
    "ou": {"jawOpen": 0.15, "mouthPucker": 0.75, "mouthFunnel": 0.25},
    "ee": {"jawOpen": 0.10, **_both(mouthSmile=0.3, mouthStretch=0.4, mouthLowerDown=0.3)},
    "oh": {"jawOpen": 0.40, "mouthFunnel": 0.65, "mouthPucker": 0.2},
    "blink": _both(eyeBlink=1.0),
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
    # The lids go along; the eyes themselves turn by their bones.
    "lookUp": _both(eyeLookUp=1.0),
    "lookDown": _both(eyeLookDown=1.0),
    "lookLeft": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "lookRight": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "happy": _both(mouthSmile=0.8, cheekSquint=0.5, eyeSquint=0.3),
    "angry": _both(browDown=0.9, noseSneer=0.4, mouthFrown=0.4, mouthPress=0.4, eyeSquint=0.3),
    "sad": {"browInnerUp": 0.9, "mouthShrugLower": 0.3, **_both(mouthFrown=0.7, eyeSquint=0.15)},
    "relaxed": _both(mouthSmile=0.35, eyeSquint=0.3, cheekSquint=0.15),
    "surprised": {
        "browInnerUp": 0.7,
        "jawOpen": 0.25,
        "mouthFunnel": 0.15,
        **_both(browOuterUp=0.7, eyeWide=0.9),
    },
}
"""VRM 1.0's eighteen, by name."""

PRESETS_OF_VRM0: dict[str, tuple[str, str]] = {
    "Neutral": ("neutral", "neutral"),
    "A": ("a", "aa"),
    "I": ("i", "ih"),
    "U": ("u", "ou"),
    "E": ("e", "ee"),
    "O": ("o", "oh"),
    "Blink": ("blink", "blink"),
    "Blink_L": ("blink_l", "blinkLeft"),
    "Blink_R": ("blink_r", "blinkRight"),
    "LookUp": ("lookup", "lookUp"),
    "LookDown": ("lookdown", "lookDown"),
    "LookLeft": ("lookleft", "lookLeft"),
    "LookRight": ("lookright", "lookRight"),
    "Joy": ("joy", "happy"),
    "Angry": ("angry", "angry"),
    "Sorrow": ("sorrow", "sad"),
    "Fun": ("fun", "relaxed"),
    "Surprised": ("unknown", "surprised"),
}
"""Name of the clip in VRM 0: its preset there, and the one of `PRESETS` that it is."""
