"""What a person at a terminal sees: where text goes, progress of long work, numbers and tables as words."""
