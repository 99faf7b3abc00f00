"""Filtered vector search in process, beside embedded vector databases: the same vectors, filters and recall."""
