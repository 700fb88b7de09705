"""``rtrecon bench``: which model, provider, precision and size runs at which rate here."""
