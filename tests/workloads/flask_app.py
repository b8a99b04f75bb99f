"""A Flask application that answers with the PID of the process that serves it; as a program, on the port that it is told."""
import os
import sys

import flask

app = flask.Flask(__name__)


@app.route("/")
def tell():
    return str(os.getpid())


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
