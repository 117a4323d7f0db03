"""fauxley learns a kind of sound from a folder of examples and then makes endless new ones."""

__version__ = "0.1.0"

__all__ = ["__version__"]
