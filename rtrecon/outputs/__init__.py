"""Where results go: the window, recordings."""
