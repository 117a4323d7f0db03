"""Training: objectives, one step, the state, the loop around it, and the presets."""
