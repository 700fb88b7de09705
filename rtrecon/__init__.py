"""rtrecon: one webcam in, a metric, textured 3D face out, every frame."""

__version__ = "0.1.0"
