"""Serves an app with several processes under granian.

`Supervisor` keeps the workers, `serve_app` is what each of them does, `Settings` says how.
`Companion` runs beside the workers.
"""

from pymacaron.serving.companion import Companion
from pymacaron.serving.settings import Settings, choose_settings
from pymacaron.serving.supervisor import Supervisor

__all__ = ["Companion", "Settings", "Supervisor", "choose_settings"]
