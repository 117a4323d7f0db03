"""Judging sounds: clips, their features, the metrics, and how a model's figures are put together."""
