"""What a person sees: window, overlay, preview video."""
