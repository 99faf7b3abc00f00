"""How good the answers of a running server are, on real data, with yardsticks from the same data beside them.

A data set is a module with its rows (`grocery`, `fashion`, `movies`); what they share is in the others. All figures
come from answers over gRPC; yardsticks are plain numpy. `itemlens eval` is the command over it.
"""
