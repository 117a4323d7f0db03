"""Many sounds to a folder: in batches, resumable, each with a name and a sidecar."""
