"""Checks that users can call: derivatives against finite differences, in any engine."""

from normgrad.testing.check import GradientCheck, check_grad

__all__ = ["GradientCheck", "check_grad"]
