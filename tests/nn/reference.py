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


def lstm_peephole(p, state, x):
    """Graves 2013, equations 7 to 11."""
    from_input, from_state = lstm_gates(p, state, x)
    input, forget, candidate, output = (a + b for a, b in zip(from_input, from_state, strict=True))
    to_input, to_forget, to_output = np.split(p["peephole"], 3)
    input = sigmoid(input + to_input * state["memory"])
    forget = sigmoid(forget + to_forget * state["memory"])
    memory = forget * state["memory"] + input * np.tanh(candidate)
    return {"hidden": sigmoid(output + to_output * memory) * np.tanh(memory), "memory": memory}


def norm(x):
    """Ba et al. 2016, equation 3."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def lstm_layer_norm(p, state, x):
    """Ba et al. 2016, equations 20 to 22, each gate normalised by itself."""
    gains = (np.split(p[name], 4) for name in ("input_gain", "gain", "bias"))
    from_input, from_state = lstm_gates({**p, "bias": np.zeros_like(p["bias"])}, state, x)
    gates = [
        norm(a) * input_gain + norm(b) * gain + bias
        for a, b, input_gain, gain, bias in zip(from_input, from_state, *gains, strict=True)
    ]
    memory = sigmoid(gates[1]) * state["memory"] + sigmoid(gates[0]) * np.tanh(gates[2])
    shown = norm(memory) * p["memory_gain"] + p["memory_bias"]
    return {"hidden": sigmoid(gates[3]) * np.tanh(shown), "memory": memory}


def lstm_gates(p, state, x):
    """The shares of the input (with bias) and of the state in each gate."""
    return np.split(x @ p["input_kernel"] + p["bias"], 4), np.split(state["hidden"] @ p["kernel"], 4)


def gru_reset_before(p, state, x):
    """Cho et al. 2014, equations 5 to 8."""
    hidden = state["hidden"]
    from_input, kernels = np.split(x @ p["input_kernel"] + p["bias"], 3), np.split(p["kernel"], 3, axis=1)
    reset, update = (sigmoid(from_input[gate] + hidden @ kernels[gate]) for gate in range(2))
    candidate = np.tanh(from_input[2] + (reset * hidden) @ kernels[2])
    return {"hidden": (1.0 - update) * candidate + update * hidden}


def gru_layer_norm(p, state, x):
    """The GRU above with each product normalised."""
    hidden, gains = state["hidden"], (np.split(p[name], 3) for name in ("input_gain", "bias", "gain"))
    products = (np.split(a, 3) for a in (x @ p["input_kernel"], hidden @ p["kernel"]))
    from_input, from_state = [], []
    for a, b, input_gain, bias, gain in zip(*products, *gains, strict=True):
        from_input.append(norm(a) * input_gain + bias)
        from_state.append(norm(b) * gain)
    reset, update = (sigmoid(from_input[gate] + from_state[gate]) for gate in range(2))
    candidate = np.tanh(from_input[2] + reset * (from_state[2] + p["candidate_bias"]))
    return {"hidden": (1.0 - update) * candidate + update * hidden}


CELLS = {cell.__name__: cell for cell in (lstm, lstm_peephole, lstm_layer_norm, gru, gru_reset_before, gru_layer_norm)}


def empty_state(cell, units):
    return {name: np.zeros(units) for name in (("hidden", "memory") if cell.startswith("lstm") else ("hidden",))}


def zone(config, before, new):
    """Krueger et al. 2017, equations 5 and 6, with the expected value in place of the draw."""
    stay = {"hidden": config.zoneout, "memory": config.memory_zoneout}
    return {name: stay[name] * before[name] + (1.0 - stay[name]) * new[name] for name in new}


def run(cell, p, inputs, config=None):
    """One direction of one layer: inputs [n I] -> the state after each input, in the order they were read."""
    states, state = [], empty_state(cell, len(p["kernel"]))
    for x in inputs:
        new = CELLS[cell](p, state, x)
        state = zone(config, state, new) if config else new
        states.append(state)
    return states


def encode(p, config, embedded):
    """Embedded source [n E] -> annotations [n D] and the final state of each layer."""
    inputs, finals = embedded, []
    for layer in range(config.encoder_layers):
        order = -1 if config.reverse_source else 1
        forward = run(config.cell, p[f"forward_{layer}"], inputs[::order], config)
        outputs, final = [state["hidden"] for state in forward][::order], forward[-1]
        if config.bidirectional and layer < (config.bidirectional_layers or config.encoder_layers):
            backward = run(config.cell, p[f"backward_{layer}"], inputs[::-1], config)
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


def energies(p, config, query, annotations, coverage):
    """How well each of the annotations [n D] answers a query [H]: [N n], one row a head."""
    if config.attention == "dot":  # Luong et al. 2015, section 3.1
        return [[query @ annotation for annotation in annotations]]
    if config.attention == "general":
        return [[query @ p["kernel"].T @ annotation for annotation in annotations]]
    if config.attention == "scaled_luong":
        return [[p["scale"][0] * (query @ p["kernel"].T @ annotation) for annotation in annotations]]
    if config.attention == "location":
        known = [query @ column for column in p["kernel"].T][: len(annotations)]
        return [known + [-np.inf] * (len(annotations) - len(known))]
    hidden = []  # Bahdanau et al. 2015, A.1.2
    for place, annotation in enumerate(annotations):
        inside = query @ p["query_kernel"] + annotation @ p["key_kernel"] + p.get("bias", 0.0)
        if config.coverage:
            inside = inside + coverage[place] * p["coverage_vector"]  # Tu et al. 2016
        hidden.append(np.tanh(inside))
    if config.attention == "multi_head":
        heads = np.split(np.arange(len(p["vector"])), config.attention_heads)
        return [[h[head] @ p["vector"][head] for h in hidden] for head in heads]
    if config.attention == "normed_bahdanau":
        return [[p["scale"][0] / np.linalg.norm(p["vector"]) * (h @ p["vector"]) for h in hidden]]
    return [[h @ p["vector"] for h in hidden]]


def attend(p, config, query, annotations, time=None, coverage=None, position=None):
    """Weights [n], the mean over heads, and context [D]. time: number of the token to come, from 1."""
    places, scale = np.arange(1, len(annotations) + 1), 1.0
    if config.attention_span == "local-m":
        center = min(time, len(annotations))
    if config.attention_span == "local-p":  # Luong et al. 2015, equations 9 and 10
        center = len(annotations) * sigmoid(np.tanh(query @ position["kernel"]) @ position["vector"])
        scale = np.exp(-((places - center) ** 2) / (2 * (config.attention_window / 2) ** 2))
    rows, contexts = [], []
    parts = (
        np.split(annotations @ p["value_kernel"], config.attention_heads, 1) if "value_kernel" in p else [annotations]
    )
    for head, values in zip(energies(p, config, query, annotations, coverage), parts, strict=True):
        row = np.array(head)
        if config.attention_span != "global":
            row[abs(places - center) > config.attention_window] = -np.inf
        weights = np.exp(row - row.max())
        weights = weights / weights.sum() * scale
        rows.append(weights)
        contexts.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
    return np.mean(rows, axis=0), np.concatenate(contexts)


def step(p, config, states, y, fed, look, summary):
    """One step of the decoder: new states, and the hidden vector, context and weights that the output reads.

    fed: what the step before feeds back. look: from a query [H] to weights [n] and context [D].
    """
    layers, kernel = config.decoder_layers, p.get("context_kernel")
    weights, context, first, above, last = None, None, [], [[]] * layers, states[-1]["hidden"]

    def cell(layer, x, more):
        own, kernels, vectors = p[f"cells_{layer}"], [k for k, _ in more], [v for _, v in more]
        inputs = {**own, "input_kernel": np.concatenate([own["input_kernel"], *kernels])}
        return CELLS[config.cell](inputs, states[layer], np.concatenate([x, *vectors]))

    if config.decoder == "cho":  # Cho et al. 2014, A.1.2
        context, first = summary, [(kernel, summary)]
    if config.decoder == "bahdanau":  # Bahdanau et al. 2015, A.2.2
        weights, context = look(last)
        first = [(kernel, context)]
    if config.decoder == "gnmt":  # Wu et al. 2016, section 3
        weights, context = look(states[0]["hidden"])
        own, *others = np.split(kernel, layers, axis=1)
        first, above = [(own, context)], [[(other, context)] for other in others]
    new = [cell(0, y, first if fed is None else [*first, (p["feed_kernel"], fed)])]
    if config.decoder == "conditional":
        weights, context = look(new[0]["hidden"])
        new = [CELLS[config.cell](p["transition"], new[0], context)]
    new = [zone(config, states[0], new[0])]
    if config.decoder == "gnmt_v2":
        weights, context = look(new[0]["hidden"])
        above = [[(part, context)] for part in np.split(kernel, layers - 1, axis=1)]
    x = new[0]["hidden"]
    for layer in range(1, layers):
        new.append(zone(config, states[layer], cell(layer, x, above[layer - 1])))
        residual = config.residual_from and layer + 1 >= max(2, config.residual_from)
        x = new[layer]["hidden"] + x if residual else new[layer]["hidden"]
    if config.decoder == "luong" and config.attention != "none":
        weights, context = look(x)
    return new, last if config.decoder == "bahdanau" else x, context, weights


def decode(p, config, annotations, states, embedded, summary):
    """Teacher-forced: embedded target [m E] -> attentional vectors [m H] and weights [m n]."""
    outputs, all_weights, coverage = [], [], np.zeros(len(annotations))
    fed = np.zeros(len(p["feed_kernel"])) if "feed_kernel" in p else None
    for time, y in enumerate(embedded, start=1):

        def look(query, time=time, coverage=coverage):
            return attend(p.get("attention", {}), config, query, annotations, time, coverage, p.get("position"))

        states, hidden, context, weights = step(p, config, states, y, fed, look, summary)
        attentional = hidden
        if config.decoder == "luong" and config.attention != "none":  # Luong et al. 2015, equation 5
            attentional = np.tanh(np.concatenate([hidden, context]) @ p["kernel"])
        if config.decoder == "conditional":
            attentional = np.tanh(np.concatenate([hidden, y, context]) @ p["kernel"])
        if config.decoder in ("bahdanau", "cho"):
            attentional = np.maximum(*np.split(np.concatenate([hidden, y, context]) @ p["kernel"], 2))
        fed = None if fed is None else context if config.decoder == "gnmt_v2" else attentional
        if config.coverage:
            coverage = coverage + weights / (2 * sigmoid(annotations @ p["attention"]["fertility_kernel"][:, 0]))
        outputs.append(attentional)
        all_weights.append(np.zeros(len(annotations)) if weights is None else weights)
    return np.stack(outputs), np.stack(all_weights)


def translate_forced(p, config, source, target_in):
    """Source ids [n], fed target ids [m] -> log-probabilities [m V], attention weights [m n], values [n D]."""
    source_table = p["target_embedding"] if config.tied_embeddings == "all" else p["source_embedding"]
    output_table = p["output_table"] if config.tied_embeddings == "none" else p["target_embedding"]
    annotations, finals = encode(p["encoder"], config, source_table[source])
    summary = None
    if config.decoder == "cho":
        summary = np.tanh(finals[-1]["hidden"] @ p["decoder"]["summary_kernel"])
        finals = [*finals[:-1], {**finals[-1], "hidden": summary}]
    states = bridge(p["decoder"].get("bridge"), config, finals)
    attentional, weights = decode(p["decoder"], config, annotations, states, p["target_embedding"][target_in], summary)
    values = (
        annotations @ p["decoder"]["attention"]["value_kernel"] if config.attention == "multi_head" else annotations
    )
    return log_softmax(attentional @ output_table.T + p["output_bias"]), weights, values


def cross_entropy(log_probs, targets, smoothing):
    """Sum over tokens of the cross-entropy to (1 - smoothing) * the target + smoothing * uniform: [m V], [m] -> []."""
    total, vocabulary = 0.0, log_probs.shape[-1]
    for row, target in zip(log_probs, targets, strict=True):
        wanted = np.full(vocabulary, smoothing / vocabulary)
        wanted[target] += 1.0 - smoothing
        total -= wanted @ row
    return total
