"""Pictures of sounds and of a training: spectrograms, contact sheets, curves."""
