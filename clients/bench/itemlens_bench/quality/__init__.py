"""The quality of a running server's answers on real data, beside yardsticks from the same data.

Each data set has a module with its report rows (`grocery`, `fashion`); the other modules are shared. All
figures come from answers over gRPC. Yardsticks are plain numpy. `itemlens eval` runs it. `behaviour` has the data sets,
metrics and yardsticks of recommendation from behaviour.
"""
