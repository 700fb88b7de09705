"""Finding faces, following them, and cutting them out."""

from rtrecon.faces.align import Crop, CropSpec, crop_face
from rtrecon.faces.mtcnn import Mtcnn, detect_faces
from rtrecon.faces.tracker import FaceTracker, TrackerStats

__all__ = ["Crop", "CropSpec", "FaceTracker", "Mtcnn", "TrackerStats", "crop_face", "detect_faces"]
