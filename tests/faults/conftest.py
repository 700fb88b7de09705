"""How long properties are searched for a counterexample."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Seconds, and the same each time; RTRECON_FUZZ_EXAMPLES=20000 for a long search of one's own.
settings.register_profile(
    "short",
    max_examples=80,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    settings.get_profile("short"),
    max_examples=int(os.environ.get("RTRECON_FUZZ_EXAMPLES", "20000")),
    derandomize=False,
)
settings.load_profile("long" if "RTRECON_FUZZ_EXAMPLES" in os.environ else "short")
