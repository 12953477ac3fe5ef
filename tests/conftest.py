"""How all tests run: the same examples every time, so that a run that passed passes again; `make soak` looks for new ones."""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

from linkd.limits import GC_THRESHOLD

settings.register_profile("test", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("LINKD_HYPOTHESIS", "test"))

gc.set_threshold(GC_THRESHOLD)
"""As a home has it; with Python's own a tenth of all tests' time is looking at modules that stay."""
