"""The classifier that inception scores need: how it is taught, calibrated, and kept."""
