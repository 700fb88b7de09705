"""Takes: the results of a run kept in a folder, and played again bit for bit."""
