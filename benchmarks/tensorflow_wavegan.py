"""WaveGAN's training step by WGAN-GP in plain TensorFlow 1 style, as the official code computes it, for timing.

`benchmarks/tensorflow_step.py` starts this file with the Python of another environment, which has TensorFlow and need
not have PyTorch or fauxley: `pip install "tensorflow-cpu==2.15.*"`. Its one argument is a JSON object of settings. It
draws weights, saves them under the official names in the file `weights`, and prints a line. Then, for each line that it
reads, the path of an .npz file of one step's numbers, it takes that step and prints seconds and losses as JSON.

The graph is the official one: `tf.nn.conv1d` and `conv2d_transpose` with bias, `maximum(0.2 x, x)`, phase shuffle by
padding and slicing, one pass of the critic each for real, generated and interpolated clips, TensorFlow's Adam. Random
numbers are placeholders, so that both sides can be given the same.
"""

import json
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

FRAMES, TAPS, LATENT_SIZE, PENALTY_WEIGHT = 16, 25, 100, 10.0


class Networks:
    """The variables of both networks by their official names, and what the networks compute with them."""

    def __init__(self, dim: int, channels: int, strides: list[int], radius: int) -> None:
        self.strides, self.radius = strides, radius
        self.shuffled_layers = min(4, len(strides) - 1)
        self.variables: dict[str, tf.Variable] = {}
        widths = [channels, *(dim * 2**layer for layer in range(len(strides)))]
        self._affine("D/output/dense", [FRAMES * widths[-1], 1], 1)
        self._affine("G/z_project/dense", [LATENT_SIZE, FRAMES * widths[-1]], FRAMES * widths[-1])
        for layer, (before, after) in enumerate(pairwise(widths)):
            self._affine(f"D/downconv_{layer}/conv1d", [TAPS, before, after], after)
            name = f"G/upconv_{len(strides) - 1 - layer}/conv2d_transpose"
            self._affine(name, [1, TAPS, before, after], before)

    def _affine(self, name: str, shape: list[int], biases: int) -> None:
        glorot, zeros = tf.glorot_uniform_initializer(seed=len(self.variables)), tf.zeros_initializer()
        self.variables[f"{name}/kernel"] = tf.get_variable(f"{name}/kernel", shape, initializer=glorot)
        self.variables[f"{name}/bias"] = tf.get_variable(f"{name}/bias", [biases], initializer=zeros)

    def of(self, player: str) -> list[tf.Variable]:
        """The variables of the generator, G, or the critic, D."""
        return [value for name, value in self.variables.items() if name.startswith(player)]

    def generate(self, z: tf.Tensor) -> tf.Tensor:
        """Latents (B, 100) to audio (B, T, C)."""
        kernel, bias = self._weights("G/z_project/dense")
        x = tf.nn.relu(tf.reshape(tf.matmul(z, kernel) + bias, [z.shape[0], 1, FRAMES, -1]))
        for layer, stride in enumerate(self.strides):
            kernel, bias = self._weights(f"G/upconv_{layer}/conv2d_transpose")
            size = [x.shape[0], 1, x.shape[2] * stride, kernel.shape[2]]
            x = tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, size, [1, 1, stride, 1], "SAME"), bias)
            x = tf.nn.relu(x) if layer < len(self.strides) - 1 else tf.nn.tanh(x)
        return tf.squeeze(x, 1)

    def score(self, x: tf.Tensor, shifts: tf.Tensor) -> tf.Tensor:
        """Audio (B, T, C) to scores (B,), shuffled by `shifts`, one for each of the first layers."""
        for layer, stride in enumerate(self.strides):
            kernel, bias = self._weights(f"D/downconv_{layer}/conv1d")
            x = tf.nn.bias_add(tf.nn.conv1d(x, kernel, stride, "SAME"), bias)
            x = tf.maximum(0.2 * x, x)
            if layer < self.shuffled_layers:
                x = self._shuffle(x, shifts[layer])
        kernel, bias = self._weights("D/output/dense")
        return (tf.matmul(tf.reshape(x, [x.shape[0], -1]), kernel) + bias)[:, 0]

    def _shuffle(self, x: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """Move x (B, L, C) by `shift` samples to later; what is missing is reflected."""
        before, after = tf.maximum(shift, 0), tf.maximum(-shift, 0)
        padded = tf.pad(x, [[0, 0], [before, after], [0, 0]], mode="REFLECT")
        shifted = padded[:, after : after + x.shape[1]]
        shifted.set_shape(x.shape)
        return shifted

    def _weights(self, name: str) -> tuple[tf.Variable, tf.Variable]:
        return self.variables[f"{name}/kernel"], self.variables[f"{name}/bias"]


class Training:
    """Both updates of WGAN-GP, and the session that takes them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        batch, length, channels = settings["batch_size"], settings["clip_length"], settings["channels"]
        self.networks = networks = Networks(settings["dim"], channels, settings["strides"], settings["phase_shuffle"])
        layers = networks.shuffled_layers
        self.real = tf.placeholder(tf.float32, [batch, length, channels])
        self.z = tf.placeholder(tf.float32, [batch, LATENT_SIZE])
        self.alpha = tf.placeholder(tf.float32, [batch, 1, 1])
        self.shifts = tf.placeholder(tf.int32, [3, layers])

        fake = networks.generate(self.z)
        on_fake = networks.score(fake, self.shifts[1])
        self.generator_loss = -tf.reduce_mean(on_fake)
        between = self.real + self.alpha * (fake - self.real)
        (gradient,) = tf.gradients(networks.score(between, self.shifts[2]), between)
        norms = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=[1, 2]))
        penalty = tf.reduce_mean(tf.square(norms - 1))
        on_real = networks.score(self.real, self.shifts[0])
        self.critic_loss = tf.reduce_mean(on_fake) - tf.reduce_mean(on_real) + PENALTY_WEIGHT * penalty

        def update(loss: tf.Tensor, player: str) -> tf.Operation:
            adam = tf.train.AdamOptimizer(learning_rate=1e-4, beta1=0.5, beta2=0.9)
            return adam.minimize(loss, var_list=networks.of(player))

        self.critic_update, self.generator_update = update(self.critic_loss, "D"), update(self.generator_loss, "G")
        threads = settings["threads"]
        self.session = tf.Session(
            config=tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        )
        self.session.run(tf.global_variables_initializer())

    def save(self, path: str) -> None:
        """Save the weights under the official names."""
        np.savez(path, **self.session.run(self.networks.variables))

    def step(self, numbers: dict[str, np.ndarray]) -> dict[str, float]:
        """Take one step; the losses are those of the last update of each network, before it."""
        run, losses = self.session.run, {}
        for real, z, alpha, shifts in zip(*(numbers[name] for name in ("real", "z", "alpha", "shifts")), strict=True):
            feed = {self.real: real, self.z: z, self.alpha: alpha, self.shifts: shifts}
            _, losses["critic_loss"] = run([self.critic_update, self.critic_loss], feed)
        # The generator's loss needs no real clips, but one placeholder holds the shifts of all three passes.
        feed = {self.z: numbers["generator_z"], self.shifts: numbers["generator_shifts"]}
        _, losses["generator_loss"] = run([self.generator_update, self.generator_loss], feed)
        return {name: float(loss) for name, loss in losses.items()}


def main() -> None:
    """Answer for each line read with a line of JSON."""
    settings = json.loads(sys.argv[1])
    tf.disable_eager_execution()
    clock = time.process_time if settings["processor_time"] else time.perf_counter
    training = Training(settings)
    training.save(settings["weights"])
    print(json.dumps({"tensorflow": tf.__version__}), flush=True)
    for line in sys.stdin:
        with np.load(line.strip()) as file:
            numbers = dict(file)
        start = clock()
        losses = training.step(numbers)
        print(json.dumps({"seconds": clock() - start, **losses}), flush=True)


if __name__ == "__main__":
    main()
