import numpy as np
import pytest

from kerasrec.nn.losses.code_cross_entropy import code_cross_entropy


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 1), ("mean", 1 / 3)])
def test_it_is_the_logarithm_of_the_product(reduction, factor):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(6), size=[3, 4]).astype(np.float32)  # [l, B, K + 1]
    codes = rng.integers(6, size=[4, 3], dtype=np.int32)
    expected = [-np.log(np.prod([shares[place, row, codes[row, place]] for place in range(3)])) for row in range(4)]
    losses = code_cross_entropy(list(np.log(shares)), codes, reduction)
    assert losses.numpy() == pytest.approx(np.array(expected) * factor, rel=1e-5)
