"""Attributes of items as typed columns in memory, and filters over them."""
