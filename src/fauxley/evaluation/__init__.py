"""Judging sounds: sources of clips, their features, metrics, and the evaluation of models."""
