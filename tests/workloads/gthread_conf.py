"""A Gunicorn's configuration that chooses threads; nothing of it shows on the command line."""
worker_class = "gthread"
threads = 3
