"""What a face does: coefficients by name, steady, calibrated to the person; and its gaze."""
