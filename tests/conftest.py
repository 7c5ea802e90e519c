"""Fixtures and settings that all tests share."""

import os

from hypothesis import HealthCheck, settings

# A machine that is busy with other tests may be slow once: time is bounded by pytest-timeout.
settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
