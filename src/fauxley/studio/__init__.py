"""The studio: a page on which models are played, its server, and what it keeps on disk."""
