"""Settings of a site that answers with the PID of the process that serves it."""
SECRET_KEY = "who"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "who_site.urls"
