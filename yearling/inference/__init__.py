"""Engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.engine import Capabilities, Completion, Delta, Engine, Request, Token

__all__ = ["Capabilities", "Completion", "Delta", "Engine", "Request", "Token"]
