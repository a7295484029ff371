"""What is computed in parts is what is computed at once."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import PAD
from nmt_cli.run.programs import in_parts


@pytest.mark.parametrize("sentences", [1, 4, 5, 9])
def test_parts_are_put_together_in_their_order_and_parts_of_fillers_are_zeros(sentences):
    source = np.full((9, 2), PAD)
    source[:sentences] = np.arange(1, 2 * sentences + 1).reshape(-1, 2)

    def encode(ids):
        assert len(ids) == 4
        return {"double": 2.0 * ids, "sum": jnp.sum(ids, axis=1) + 1}

    found = in_parts(encode, jnp.asarray(source), 4)
    computed = min(-(-sentences // 4) * 4, 9)
    np.testing.assert_array_equal(found["double"], 2.0 * source)
    np.testing.assert_array_equal(found["sum"][:computed], source.sum(axis=1)[:computed] + 1)
    assert not found["sum"][computed:].any()
