"""Typed models from a document: ``apis/pets.yaml`` becomes ``apis/pets_models.py``."""

from pymacaron.codegen.client import generate_client
from pymacaron.codegen.generate import generate_models, write_models
from pymacaron.codegen.load import load_models
from pymacaron.codegen.methods import name_methods

__all__ = ["generate_client", "generate_models", "load_models", "name_methods", "write_models"]
