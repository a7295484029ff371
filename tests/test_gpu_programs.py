"""Every program compiles for NVIDIA GPUs, on a machine without one.

XLA compiles for a device by its description alone (openxla/xla, pull request 16913): what a GPU would refuse is found
before there is one to refuse it. Nothing is run. The compiler for GPUs comes with `pip install 'nmt-cli[cuda12]'`.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding

from nmt_cli.config import Model, Train
from nmt_cli.nn import cudnn
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.programs import Demand, Plan, force_ids, translate_ids
from nmt_cli.training.cuda_graphs import CHOICES
from nmt_cli.training.replicas import BY_ROWS, EVERYWHERE, Replicas
from nmt_cli.training.state import initial_state
from nmt_cli.training.step import whole_update
from tests.nn.small_models import MODELS, padded_batch, sizes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(map(find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin"))), reason="the compiler for GPUs is missing"
    ),
]

# Sizes: CUDA C++ Programming Guide, compute capability 9.0. Speeds and memory: NVIDIA's data sheet of the H100 SXM.
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  l2_cache_size: 52428800
  memory_bandwidth: 3350000000000
  device_memory_size: 85899345920
  cuda_compute_capability { major: 9 }
  runtime_version: "12.9.0"
  driver_version: "12.9.0"
  compile_time_toolkit_version: "12.9.0"
  dnn_version: "9.12.0"
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 12 minor: 9 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
STEPS = 7
# Triton's tiles are chosen by trying them on the GPU: the tiles of a compiler that cannot may not fit a product.
UNTRIED = {"xla_gpu_enable_triton_gemm": False}


@pytest.fixture(scope="module")
def gpus():
    """Two H100 that can be compiled for."""
    return topologies.get_topology_desc("h100", "cuda", target_config=H100, topology="1x1x2").devices


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """The model takes the ways that it takes on a GPU, and cuDNN is not asked for."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(cudnn, "is_there", lambda: False)


def placed(tree, devices, axes=EVERYWHERE):
    """The outlines of arrays, on these devices."""
    sharding = NamedSharding(Mesh(np.array(devices), ("rows",)), axes)
    return jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding), tree)


def compile_update(config, devices, precision="bfloat16", choice="steps"):
    """An update on one device, or on several."""
    model, train = Seq2Seq(config, *sizes(config), jnp.dtype(precision)), Train(ema_decay=0.9)
    batch, rng, replicas = padded_batch(config), jax.random.key(0), Replicas(devices)
    state = jax.eval_shape(lambda: initial_state(train, model.init(rng, batch, method="loss")["params"]))
    function = replicas.jit(partial(whole_update, model, train), (EVERYWHERE, BY_ROWS, EVERYWHERE), donate=(0,))
    rows = BY_ROWS if replicas.mesh else EVERYWHERE
    compile_for_gpu(
        function, placed(state, devices), placed(batch, devices, rows), placed(rng, devices), **CHOICES[choice]
    )


def compile_for_gpu(function, *arguments, **options):
    """Raises what the compiler says."""
    function.trace(*arguments).lower(lowering_platforms=("cuda",)).compile(compiler_options=UNTRIED | options)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_an_update_compiles(gpus, name, precision):
    compile_update(MODELS[name], gpus[:1], precision)


@pytest.mark.parametrize("name", MODELS)
def test_an_update_of_two_gpus_compiles(gpus, name):
    compile_update(MODELS[name], gpus)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("choice", CHOICES)
def test_an_update_compiles_with_each_choice_of_graphs(gpus, choice, count):
    compile_update(MODELS["lstm-general-feed"], gpus[:count], choice=choice)


@pytest.mark.parametrize("decoder", ["luong", "gnmt_v2"])
def test_an_update_with_cudnn_compiles(gpus, monkeypatch, decoder):
    from jaxlib import gpu_rnn

    monkeypatch.setattr(cudnn, "is_there", lambda: True)
    # the only thing that is asked of the GPU itself
    monkeypatch.setattr(gpu_rnn, "compute_rnn_workspace_reserve_space_sizes", lambda *_: (1 << 20, 1 << 20))
    layers = {"decoder": decoder, "encoder_layers": 2, "decoder_layers": 3}
    compile_update(Model(embedding_size=8, encoder_units=8, decoder_units=8, input_feeding=False, **layers), gpus[:1])


def planned(config, precision):
    """Parameters, and a plan and a demand of a search."""
    model = Seq2Seq(config, *sizes(config))
    batch, rng = padded_batch(config), jax.random.key(0)
    params = jax.eval_shape(lambda: model.init(rng, batch, method="loss")["params"])
    rows, number = len(batch.source), jax.ShapeDtypeStruct((), jnp.float32)
    plan = Plan(
        members=(model.clone(dtype=jnp.dtype(precision)),),
        average="probabilities",
        steps=STEPS,
        rows=rows,
        width=4,
        n_best=2,
        with_weights=config.attention != "none",
        encoded=rows,
    )
    lengths = jax.ShapeDtypeStruct((rows,), jnp.int32)
    return params, plan, Demand(batch.source, Ranking(number, number, None), lengths)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_a_search_compiles(gpus, name, precision):
    params, plan, demand = planned(MODELS[name], precision)
    compile_for_gpu(jax.jit(partial(translate_ids, plan=plan)), *placed(([params], demand), gpus[:1]))


@pytest.mark.parametrize("name", MODELS)
def test_scoring_compiles(gpus, name):
    params, plan, demand = planned(MODELS[name], "bfloat16")
    targets = jax.ShapeDtypeStruct((len(demand.source), STEPS), jnp.int32)
    given = [params], demand.source, targets, demand.max_lengths, demand.ranking
    compile_for_gpu(jax.jit(partial(force_ids, plan=plan)), *placed(given, gpus[:1]))
