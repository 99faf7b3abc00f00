"""Mapping files, which turn rows into items and events, and the bundled catalogue."""
