"""The report of an evaluation: one page, its charts, and what it remarks on."""
