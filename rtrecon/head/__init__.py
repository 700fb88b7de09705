"""The whole head of a person: a model with a topology, fitted to what was seen."""
