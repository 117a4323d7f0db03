"""What comes in from elsewhere: checkpoints of the official TensorFlow code, read without TensorFlow."""
