"""The model in plain NumPy, one sentence and one token at a time, written from the papers' equations.

There are no batches, no padding and no masks here: what the package computes for a padded batch has to be what this
computes for each sentence alone. Parameters are the package's nested dict with float64 arrays.
"""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def log_softmax(x):
    """[... V] -> [... V]."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def lstm(p, state, x):
    """Gers, Schmidhuber & Cummins 2000: x [I], a state of [H] -> the next state."""
    units = len(state["hidden"])

    def gate(number):
        columns = slice(number * units, (number + 1) * units)
        return x @ p["input_kernel"][:, columns] + state["hidden"] @ p["kernel"][:, columns] + p["bias"][columns]

    input, forget, candidate, output = (gate(number) for number in range(4))
    memory = sigmoid(forget) * state["memory"] + sigmoid(input) * np.tanh(candidate)
    return {"hidden": sigmoid(output) * np.tanh(memory), "memory": memory}


def gru(p, state, x):
    """Cho et al. 2014, with the reset gate after the product: x [I], a state of [H] -> the next state."""
    hidden, units = state["hidden"], len(state["hidden"])
    columns = [slice(number * units, (number + 1) * units) for number in range(3)]
    from_input = [x @ p["input_kernel"][:, gate] + p["bias"][gate] for gate in columns]
    from_state = [hidden @ p["kernel"][:, gate] for gate in columns]
    reset = sigmoid(from_input[0] + from_state[0])
    update = sigmoid(from_input[1] + from_state[1])
    candidate = np.tanh(from_input[2] + reset * (from_state[2] + p["candidate_bias"]))
    return {"hidden": (1.0 - update) * candidate + update * hidden}


CELLS = {"lstm": lstm, "gru": gru}


def empty_state(cell, units):
    names = {"lstm": ("hidden", "memory"), "gru": ("hidden",)}[cell]
    return {name: np.zeros(units) for name in names}


def run(cell, p, inputs):
    """One direction of one layer: inputs [n I] -> the state after each input, in the order they were read."""
    states, state = [], empty_state(cell, len(p["kernel"]))
    for x in inputs:
        state = CELLS[cell](p, state, x)
        states.append(state)
    return states


def encode(p, config, embedded):
    """Embedded source [n E] -> annotations [n D] and the final state of each layer."""
    inputs, finals = embedded, []
    for layer in range(config.encoder_layers):
        forward = run(config.cell, p[f"forward_{layer}"], inputs)
        outputs, final = [state["hidden"] for state in forward], forward[-1]
        if config.bidirectional:
            backward = run(config.cell, p[f"backward_{layer}"], inputs[::-1])
            hidden = [state["hidden"] for state in backward][::-1]
            outputs = [np.concatenate(both) for both in zip(outputs, hidden, strict=True)]
            final = {name: np.concatenate([final[name], backward[-1][name]]) for name in final}
        outputs = np.stack(outputs)
        residual = config.residual_from and layer + 1 >= max(2, config.residual_from)
        inputs = outputs + inputs if residual else outputs
        finals.append(final)
    return inputs, finals


def bridge(p, config, finals):
    """The decoder's first states. Layers meet at the top where the encoder is deeper, else the last serves the rest."""
    surplus = max(0, len(finals) - config.decoder_layers)
    finals = finals[surplus:]
    finals = finals + [finals[-1]] * (config.decoder_layers - len(finals))
    if config.bridge == "zero":
        return [empty_state(config.cell, config.decoder_units) for _ in finals]
    if config.bridge == "last":
        return finals
    states = []
    for layer, final in enumerate(finals):
        dense = {name: x @ p[f"{name}_{layer}"]["kernel"] + p[f"{name}_{layer}"]["bias"] for name, x in final.items()}
        states.append({**dense, "hidden": np.tanh(dense["hidden"])})
    return states


def energy(p, attention, query, annotation):
    """How well an annotation [D] answers a query [H]."""
    if attention == "general":  # Luong et al. 2015, equation 8
        return query @ p["kernel"].T @ annotation
    hidden = np.tanh(query @ p["query_kernel"] + annotation @ p["key_kernel"] + p["bias"])  # Bahdanau et al. 2015
    return hidden @ p["vector"]


def attend(p, attention, query, annotations):
    """Weights [n] and context [D]."""
    energies = np.array([energy(p, attention, query, annotation) for annotation in annotations])
    weights = np.exp(energies - energies.max())
    weights = weights / weights.sum()
    return weights, sum(weight * annotation for weight, annotation in zip(weights, annotations, strict=True))


def decode(p, config, annotations, states, embedded):
    """Teacher-forced: embedded target [m E] -> attentional vectors [m H] and weights [m n]."""
    outputs, all_weights, fed = [], [], None
    for embedding in embedded:
        x, first = embedding, p["cells_0"]
        if config.input_feeding:
            first = {**first, "input_kernel": np.concatenate([first["input_kernel"], p["feed_kernel"]])}
            fed = np.zeros(len(p["feed_kernel"])) if fed is None else fed
            x = np.concatenate([embedding, fed])
        for layer in range(config.decoder_layers):
            cell = first if layer == 0 else p[f"cells_{layer}"]
            states[layer] = CELLS[config.cell](cell, states[layer], x)
            residual = config.residual_from and layer + 1 >= max(2, config.residual_from)
            x = states[layer]["hidden"] + x if residual else states[layer]["hidden"]
        weights, attentional = np.zeros(len(annotations)), x
        if config.attention != "none":
            weights, context = attend(p["attention"], config.attention, x, annotations)
            attentional = np.tanh(np.concatenate([x, context]) @ p["kernel"])  # Luong et al. 2015, equation 5
        fed = attentional
        outputs.append(attentional)
        all_weights.append(weights)
    return np.stack(outputs), np.stack(all_weights)


def translate_forced(p, config, source, target_in):
    """Source ids [n], fed target ids [m] -> log-probabilities [m V], attention weights [m n], annotations [n D]."""
    source_table = p["target_embedding"] if config.tied_embeddings == "all" else p["source_embedding"]
    output_table = p["output_table"] if config.tied_embeddings == "none" else p["target_embedding"]
    annotations, finals = encode(p["encoder"], config, source_table[source])
    states = bridge(p["decoder"].get("bridge"), config, finals)
    attentional, weights = decode(p["decoder"], config, annotations, states, p["target_embedding"][target_in])
    return log_softmax(attentional @ output_table.T + p["output_bias"]), weights, annotations


def cross_entropy(log_probs, targets, smoothing):
    """Sum over tokens of the cross-entropy to (1 - smoothing) * the target + smoothing * uniform: [m V], [m] -> []."""
    total, vocabulary = 0.0, log_probs.shape[-1]
    for row, target in zip(log_probs, targets, strict=True):
        wanted = np.full(vocabulary, smoothing / vocabulary)
        wanted[target] += 1.0 - smoothing
        total -= wanted @ row
    return total
