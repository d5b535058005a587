"""The tests of cartnet, arranged as the code is.

Random examples are the same in every run, so that a failure says something about a
change; ``HYPOTHESIS_PROFILE=explore`` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
