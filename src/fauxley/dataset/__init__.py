"""Datasets: sounds decoded once, how they are packed, and the order in which clips are drawn."""
