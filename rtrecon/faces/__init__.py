"""Finding faces, following them, and cutting them out."""

from rtrecon.faces.align import Crop, CropSpec, crop_face
from rtrecon.faces.detect import detect_faces
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.tracker import FaceTracker, TrackerStats

__all__ = ["Crop", "CropSpec", "FaceTracker", "Mtcnn", "TrackerStats", "crop_face", "detect_faces"]
