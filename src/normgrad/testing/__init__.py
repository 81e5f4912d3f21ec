"""Checks that users can call: derivatives against finite differences, in any engine."""

from normgrad.testing.adjoint import check_adjoint
from normgrad.testing.check import GradientCheck, check_grad

__all__ = ["GradientCheck", "check_adjoint", "check_grad"]
