"""What the studio answers over HTTP, by topic: each file adds its paths to the router of `/api`."""
