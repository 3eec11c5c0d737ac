"""The service on pymacaron 2: Python 3.8."""

import os

from flask import Flask
from pymacaron import API, letsgo
from pymacaron.config import get_config

app = Flask(__name__)


def start(port=None, debug=None):
    get_config().load_pym_config()
    api = API(app, port=port, debug=debug)
    api.load_apis(os.path.join(os.path.dirname(os.path.abspath(__file__)), "apis"))
    api.start()


letsgo(__name__, callback=start)
