"""Depth networks behind one contract: manifest, session, prediction."""
