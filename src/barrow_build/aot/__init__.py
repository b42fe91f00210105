"""Turns the catalogue into what the wheel carries: a pack of cubins, its manifest, the launcher's table."""
