"""Pictures for people, without a window: overlay, colour maps, preview, sheet."""
