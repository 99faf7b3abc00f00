"""Recommendation from behaviour: data sets with their protocols, metrics, and yardsticks tuned as well as ours.

`split` says what a data set is; `journey`, `tafeng`, `sequences` and `films` read one each. `metrics` are arrays over
questions. The yardsticks (`popularity`, `own_frequency`, `ease_lists`, `tifu_knn`; `sasrec` with torch) share no code
with the server. `python -m itemlens_bench.quality.behaviour` prints their table.
"""
