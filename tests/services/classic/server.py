"""A service as it was written for pymacaron 2: nothing in it knows of version 3."""

import json
import os

from flask import Flask

from pymacaron import API, letsgo
from pymacaron.config import get_config
from pymacaron.log import pymlogger

log = pymlogger(__name__)

app = Flask(__name__)


def report(title=None, data=None, exception=None):
    """Write each error report as a line of the file that the configuration names."""
    line = json.dumps({"title": title, "data": data, "exception": str(exception)})
    with open(get_config().report_path, "a") as f:
        f.write(line + "\n")


def to_error(e):
    """Answer errors in the service's own format."""
    return {"code": e.code, "text": str(e)}


def count_ping():
    """Leave a trace of each ping."""
    with open(get_config().report_path, "a") as f:
        f.write(json.dumps({"title": "ping"}) + "\n")


def start(port=None, debug=None):
    """Load the apis and start."""
    conf = get_config()
    log.info("Starting %s on port %s", conf.name, port)

    here = os.path.dirname(os.path.realpath(__file__))

    api = API(
        app,
        port=port,
        debug=debug,
        error_reporter=report,
        error_callback=to_error if conf.own_error_format else None,
        ping_hook=[count_ping],
    )
    api.load_apis(os.path.join(here, "apis"))
    api.publish_apis()
    api.start()


letsgo(__name__, callback=start)
