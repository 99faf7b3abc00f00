"""The fusion head: its terms, its closed-form fit, its graph. Numpy and scipy only."""
