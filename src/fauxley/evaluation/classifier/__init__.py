"""The classifier that inception scores need: training, calibration, storage."""
