"""Cameras, files, streams and folders as frames."""

from rtrecon.capture.cameras import CameraInfo, list_cameras
from rtrecon.capture.source import Source
from rtrecon.capture.sources import open_source
from rtrecon.capture.thread import CaptureStats, CaptureThread

__all__ = ["CameraInfo", "CaptureStats", "CaptureThread", "Source", "list_cameras", "open_source"]
