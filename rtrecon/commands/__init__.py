"""The commands of ``rtrecon``, one module each."""
