"""A path proves that a leaf is under a root, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.audit.merkle import climbs, leaf, path, root

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


@given(LEAVES, st.data())
def test_every_leaf_climbs_to_the_root(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    steps = path(leaves, index)
    assert climbs(leaves[index], steps, root(leaves))
    assert len(steps) <= max(1, len(leaves)).bit_length()


@given(LEAVES, st.data(), st.binary(max_size=8))
def test_another_leaf_does_not_climb(leaves, data, other):
    index = data.draw(st.integers(0, len(leaves) - 1))
    if other != leaves[index]:
        assert not climbs(other, path(leaves, index), root(leaves))


@given(LEAVES)
def test_leaving_one_out_changes_the_root(leaves):
    assert root(leaves[:-1]) != root(leaves)


def test_the_roots_are_those_of_rfc_6962():
    # Test vectors of the Certificate Transparency reference code for its first leaves.
    first = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    two = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root([b""]).hex() == first
    assert root([b"", b"\x00"]).hex() == two
    assert root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_node_does_not_pass_for_a_leaf(count):
    leaves = [bytes([i]) for i in range(count)]
    below = leaf(leaves[0]) + leaf(leaves[1])
    assert not climbs(below, path(leaves, 0)[1:], root(leaves))
