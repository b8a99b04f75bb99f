"""Hides the module `setproctitle` from a Gunicorn that has this folder on its path."""
raise ImportError("this one runs without titles")
