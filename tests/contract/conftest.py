"""The suite's own modules assert, so pytest explains their failures as it does those of test modules."""

import pytest

pytest.register_assert_rewrite("contract")
