"""Audio files in and out: finding, decoding, measuring and writing them."""
