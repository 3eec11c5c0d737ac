"""{{ title }} as a WSGI app: `pymacaron run`, or any WSGI server with `server:app`."""

from pymacaron import create_app

app = create_app(__name__, handlers="{{ package }}.handlers")
