"""The fusion head, the terms of the score and the rows in memory. Numpy and scipy only."""
