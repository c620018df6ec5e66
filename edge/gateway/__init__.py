"""The gateway's process: settings, composition, the releases that it serves, the HTTP service."""
