import numpy as np
import pytest

from keras_contrastive.evaluation import split_by_class


@pytest.mark.parametrize("names", [np.arange(4), np.array(["a", "b", "c", "d"])])
def test_a_share_of_each_class_is_held_out(names):
    labels = names[np.repeat([0, 1, 2, 3], [10, 25, 2, 1])][::-1]
    train, held_out = split_by_class(labels)
    assert sorted([*train, *held_out]) == list(range(38))
    counts = dict(zip(*np.unique(labels[held_out], return_counts=True), strict=True))
    assert counts == {names[0]: 2, names[1]: 5, names[2]: 1}
    again = split_by_class(labels)[1]
    np.testing.assert_array_equal(held_out, again)
    assert not np.array_equal(held_out, split_by_class(labels, seed=1)[1])
    assert len(split_by_class(labels, 0.5)[1]) == 5 + 12 + 1


def test_what_has_no_label_is_in_neither_part():
    labels = np.where(np.arange(20) % 2, 3, -1)
    train, held_out = split_by_class(labels)
    assert len(train) == 8 and len(held_out) == 2
    assert (labels[[*train, *held_out]] == 3).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`share` must be in .0, 1.*share=1"):
        split_by_class([0, 1], 1)
    with pytest.raises(ValueError, match="one integer class.*float64"):
        split_by_class([0.5, 1])
