"""A look at the first batch, where only the data knows its batch size."""

import itertools

import keras
import tensorflow as tf

from keras_contrastive.callbacks.bind_schedules import BindSchedules
from keras_contrastive.methods import checked_data


class FirstBatch(keras.callbacks.Callback):
    """Checks the first batch of a `fit` and binds the schedules to its size.

    Generators, `keras.utils.PyDataset`, `image_dataset_from_directory`, distributed
    datasets: what a batch is like is known when it comes. The first execution of the
    train function therefore draws its batches here, from the iterator that Keras made,
    and then trains on these: nothing is drawn twice, and a shuffled dataset keeps its
    order.

    Args:
        bind: The callback that binds the schedules of this `fit`.
    """

    def __init__(self, bind: BindSchedules):
        super().__init__()
        self.bind = bind
        self._usual = None

    def on_train_begin(self, logs=None):
        """Stand in for the train function until it is called."""
        self._usual = self.model.train_function
        self.model.train_function = self._first_execution

    def stand_aside(self) -> None:
        """Give the train function back, if a run ended before its first step."""
        if self._usual is not None:
            self.model.train_function, self._usual = self._usual, None

    def _first_execution(self, iterator):
        model = self.model
        self.stand_aside()
        batches = list(itertools.islice(iterator, model.steps_per_execution))
        if not batches:
            raise StopIteration
        self.bind.bind_schedules(checked_data.check_first_batch(model, batches[0]))
        again = iter(batches)
        if isinstance(iterator, tf.data.Iterator):  # the signature of all later steps
            again = iter(
                tf.data.Dataset.from_generator(
                    lambda: iter(batches), output_signature=iterator.element_spec
                )
            )
        return model.train_function(again)
