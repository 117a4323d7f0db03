"""What every page of fauxley stands on: a guard of requests, limits of connections, static files."""
