"""Rendering of many sounds to a folder: in batches, resumable, with a name and a sidecar for each."""
