"""How good a reconstruction is, against measured depth: ``rtrecon eval``."""
