"""Datasets: packing sounds once, reading them, and the order in which clips are drawn."""
