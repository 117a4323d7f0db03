"""Signal processing on arrays and tensors: spectra, onsets, cleaning, and a drum kit that is synthesised."""
