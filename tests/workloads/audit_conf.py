"""Gunicorn's configuration for the audit: threads for the class that has them, for whom else it would be another class."""
import sys

threads = 8 if "gthread" in sys.argv else 1
