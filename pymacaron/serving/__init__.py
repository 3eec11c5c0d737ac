"""Serves an app with several processes under granian.

`Supervisor` keeps the workers, `serve_app` is what each of them does, `Settings` says how.
"""

from pymacaron.serving.settings import Settings, choose_settings
from pymacaron.serving.supervisor import Supervisor

__all__ = ["Settings", "Supervisor", "choose_settings"]
