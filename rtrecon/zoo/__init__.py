"""Models from checkpoints: export, precision, parity, and the folder they are kept in."""
