"""Draws the pictures of the bundled catalogue. Not part of any distribution."""
