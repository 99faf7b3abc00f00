"""Counts of what users take, kept current event by event: a sum over users of a pure function of each one's events."""
