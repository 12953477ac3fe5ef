"""How many examples a property test is given where the usual number does not fit it."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """So many in `make test`; in another profile (`LINKD_HYPOTHESIS`) as many times more as that gives to all other tests."""
    return count * settings.default.max_examples // settings.get_profile("test").max_examples
