"""Workbench: projects and their tasks, as a Starlette service. `PORT=8000 python app.py`."""

import os

import uvicorn
from people import Health, Label, Labels, Me
from planted import planted
from problems import Problem, answer_crash, answer_http, answer_problem
from projects import Export, Project, Projects
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from tasks import Search, Task, Tasks, Votes

METHODS = ["GET", "POST"] if planted("preflight_refuses_patch") else ["GET", "POST", "PUT", "PATCH", "DELETE"]

app = Starlette(
    routes=[
        Route("/health", Health),
        Route("/me", Me),
        Route("/projects", Projects),
        Route("/projects/{project_id}", Project),
        Route("/projects/{project_id}/export", Export),
        Route("/projects/{project_id}/tasks", Tasks),
        Route("/projects/{project_id}/tasks/{task_id}", Task),
        Route("/projects/{project_id}/tasks/{task_id}/votes", Votes),
        Route("/search", Search),
        Route("/labels", Labels),
        Route("/labels/{slug}", Label),
    ],
    middleware=[
        Middleware(
            CORSMiddleware,
            allow_origins=["*"],
            allow_methods=METHODS,
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"],
            expose_headers=["ETag", "Location"],
        )
    ],
    exception_handlers={Problem: answer_problem, HTTPException: answer_http, Exception: answer_crash},
)
app.router.redirect_slashes = False

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", access_log=False)
