"""The networks of lesson 03 in Keras's functional style, and what trains them there.

After He, Zhang, Ren, Sun (2015), "Deep residual learning for image recognition", section 4.2. With
the same weights they compute what `course.models.resnet` does, which a test compares. Axes: B
images, H × W pixels, C channels, in this order.
"""

import keras
import tensorflow as tf


def augment(image, largest_shift):
    """One image [H, W, C], moved at random by up to `largest_shift` pixels and perhaps mirrored.

    Each move is as likely as any other, what comes in is 0, and half of the images are mirrored,
    left and right. Same shape and dtype.
    """
    border = [largest_shift, largest_shift]
    padded = tf.pad(image, [border, border, [0, 0]])
    return tf.image.random_flip_left_right(tf.image.random_crop(padded, tf.shape(image)))


def training_batches(images, labels, batch_size, augment):
    """Batches (images, labels) in a new order and with new changes in every epoch."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.shuffle(len(images))
    dataset = dataset.map(lambda image, label: (augment(image), label), tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def with_batches_that_fit(train, batch_size):
    """What `train(batch_size)` returns, with half as many images at a time where they do not fit.

    Each try calls `train` anew, which has to start from the beginning; a line tells of it.

    Raises:
        MemoryError: not even one image at a time fits into the memory of the GPU.
    """
    while True:
        try:
            return train(batch_size)
        except tf.errors.ResourceExhaustedError:
            if batch_size == 1:
                raise MemoryError(
                    "Not even one image fits into this GPU's memory: close other notebooks that "
                    "use it, or take a smaller model."
                ) from None
        half = batch_size // 2
        print(f"{batch_size} at a time do not fit into this GPU's memory: trying {half}.")
        batch_size = half


def conv_norm(x, channels, stride=1):
    """3 × 3 convolution and batch norm as in PyTorch: [B, H, W, C] → [B, H / stride, …, channels].

    The border has one pixel on every side. The running averages keep 0.9 of what they were.
    """
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.Conv2D(channels, 3, stride, use_bias=False, kernel_initializer="he_normal")(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def shortcut(x, channels, stride):
    """The paper's way around a block, without parameters: every second pixel, channels of zeros."""
    if stride > 1:
        x = x[:, ::stride, ::stride]
    new_channels = channels - x.shape[-1]
    if new_channels:
        x = keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, new_channels)])
    return x


def residual_block(x, channels, stride=1):
    """relu(body(x) + shortcut(x)), the body being conv_norm, ReLU, conv_norm."""
    change = keras.layers.ReLU()(conv_norm(x, channels, stride))
    change = conv_norm(change, channels)
    return keras.layers.ReLU()(keras.layers.Add()([change, shortcut(x, channels, stride)]))


def plain_block(x, channels, stride=1):
    """The same layers without the way around them."""
    change = keras.layers.ReLU()(conv_norm(x, channels, stride))
    return keras.layers.ReLU()(conv_norm(change, channels))


def convnet(block, blocks_per_stage, size, num_classes=10, prepare=None, model_class=keras.Model):
    """Convolution, three stages of blocks, mean over the pixels, dense layer.

    [B, size, size, 3] → logits [B, num_classes]. prepare: a layer for the images, such as
    `keras.layers.Normalization`. model_class: what makes the model of inputs and outputs.
    """
    inputs = keras.Input((size, size, 3))
    x = inputs if prepare is None else prepare(inputs)
    x = keras.layers.ReLU()(conv_norm(x, 16))
    for channels in (16, 32, 64):
        for place in range(blocks_per_stage):
            x = block(x, channels, stride=2 if place == 0 and channels > 16 else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return model_class(inputs, keras.layers.Dense(num_classes)(x))


def resnet20(num_classes=10):
    """ResNet-20 for images of 32 × 32 pixels: 269,722 trainable parameters, as in the paper."""
    return convnet(residual_block, 3, 32, num_classes)


def plain20(num_classes=10):
    """The same layers and parameters as `resnet20`, without the shortcuts."""
    return convnet(plain_block, 3, 32, num_classes)


class BestWeights(keras.callbacks.Callback):
    """Brings the model back, when `fit` ends, to the epoch with the best validation accuracy."""

    def on_train_begin(self, logs=None):
        self.best = -1.0
        self.weights = None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > self.best:
            self.best = logs["val_accuracy"]
            self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        if self.weights is not None:
            self.model.set_weights(self.weights)


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer, in training computed by one of TensorFlow's operations in place of many.

    For images [B, H, W, C] → the same shape. The running variance takes in the unbiased variance of
    a batch (divided by their number minus 1), as PyTorch's does; Keras divides by the number.
    """

    def call(self, x, training=None, mask=None):
        if mask is not None or not (training and self.trainable):
            return super().call(x, training=training, mask=mask)
        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.zeros_like(self.gamma),  # not used: in training the batch gives both
            variance=tf.zeros_like(self.gamma),
            epsilon=self.epsilon,
            is_training=True,
        )
        for running, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(self.momentum * running + (1 - self.momentum) * new)
        return normalised


def with_fused_norms(model):
    """The model's plan once more, with fresh weights and each batch norm a fused one."""

    def layer_for(layer):
        fused = isinstance(layer, keras.layers.BatchNormalization)
        layer_class = FusedBatchNormalization if fused else type(layer)
        return layer_class.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=layer_for)


def update_metrics(model, loss, slope_norm, y, logits):
    """Tell the model's metrics about one batch; return what they say so far in this epoch."""
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss)
        elif metric.name == "slope_norm":
            metric.update_state(slope_norm)
        else:
            metric.update_state(y, logits)
    return model.get_metrics_result()


class ClippedModel(keras.Model):
    """A model whose step clips the slopes of all weights together to the length `longest`."""

    longest = 1.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.slope_norm = keras.metrics.Mean(name="slope_norm")

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        slope_norm = tf.sqrt(sum(tf.reduce_sum(gradient**2) for gradient in gradients))
        factor = tf.minimum(1.0, self.longest / slope_norm)
        gradients = [factor * gradient for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return update_metrics(self, loss, slope_norm, y, logits)
