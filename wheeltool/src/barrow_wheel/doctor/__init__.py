"""What to set before a build: a probe of the machine, and a diagnosis that is a pure function of it."""
