"""Training: objectives, a step, the state, the loop around it, and presets."""
