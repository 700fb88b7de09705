"""From a crop and a network's answer to geometry in metres."""
