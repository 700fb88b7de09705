"""What ``rtrecon models`` does: list, export, verify and remove depth models."""
