"""The live window on the main thread; needs Open3D and a display."""
