"""The reference model in torch, as one would write it: the other side of `train.py --peer`.

A bidirectional LSTM encoder over packed sequences, LSTM cells as decoder with general attention and input feeding, the
output layer over all positions at once, label smoothing of 0.1, dropout of 0.2, Adam, gradients clipped at 1.
For each line on stdin it makes an update of every batch and prints the seconds.
"""

import contextlib
import json
import sys
import time

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"no side-by-side figures: {error}", file=sys.stderr)
    raise SystemExit(len(sys.argv) > 1) from None
from torch import nn
from torch.nn.functional import cross_entropy, dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

DROPOUT = 0.2


class Model(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        embedding, encoder, units = (sizes[name] for name in ("embedding_size", "encoder_units", "decoder_units"))
        layers = sizes.get("decoder_layers", 1)
        self.source = nn.Embedding(sizes["vocabulary"], embedding)
        self.target = nn.Embedding(sizes["vocabulary"], embedding)
        self.encoder = nn.LSTM(embedding, encoder // 2, bidirectional=True, batch_first=True)
        self.bridge = nn.ModuleList([nn.Linear(encoder, units) for _ in range(2 * layers)])
        inputs = [embedding + units] + [units] * (layers - 1)
        self.cells = nn.ModuleList([nn.LSTMCell(size, units) for size in inputs])
        self.keys = nn.Linear(encoder, units, bias=False)
        self.attentional = nn.Linear(units + encoder, units, bias=False)
        self.output = nn.Linear(units, sizes["vocabulary"])

    def forward(self, source, source_mask, target_in):
        lengths = source_mask.sum(1).clamp(min=1)
        embedded = dropout(self.source(source), DROPOUT, self.training)
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, finals = self.encoder(packed)
        annotations, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])  # [B S D]
        finals = [final.transpose(0, 1).reshape(len(source), -1) for final in finals]  # hidden and memory, [B D]
        bridged = [bridge(finals[number % 2]) for number, bridge in enumerate(self.bridge)]
        states = [(torch.tanh(hidden), memory) for hidden, memory in zip(bridged[::2], bridged[1::2], strict=True)]
        keys, hidden_outside = self.keys(annotations), ~source_mask
        fed, found = annotations.new_zeros(len(source), self.attentional.out_features), []
        for word in dropout(self.target(target_in), DROPOUT, self.training).unbind(1):
            x = torch.cat([word, fed], 1)
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            energies = torch.bmm(keys, x[:, :, None])[:, :, 0].float().masked_fill(hidden_outside, -1e9)
            weights = torch.softmax(energies, 1).to(annotations.dtype)
            context = torch.bmm(weights[:, None], annotations)[:, 0]
            fed = dropout(torch.tanh(self.attentional(torch.cat([x, context], 1))), DROPOUT, self.training)
            found.append(fed)
        return torch.stack(found, 1)  # [B T H]


def main(path, sizes):
    sizes = json.loads(sizes)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arrays = np.load(path)
    count = 1 + max(int(name.split()[0]) for name in arrays.files)
    fields = ("source", "source_mask", "target_in", "target_out", "target_mask")
    batches = [[torch.from_numpy(arrays[f"{n} {field}"]).to(device) for field in fields] for n in range(count)]
    torch.manual_seed(1)
    model = Model(sizes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rounded = sizes["precision"] == "bfloat16"

    def update(source, source_mask, target_in, target_out, target_mask):
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16) if rounded else contextlib.nullcontext():
            hidden = model(source.long(), source_mask, target_in.long())
            logits = model.output(hidden[target_mask])  # padding is left out
        loss = cross_entropy(logits.float(), target_out[target_mask].long(), label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    update(*batches[0])
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for batch in batches:
            update(*batch)
        if device == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__" and len(sys.argv) == 3:
    main(*sys.argv[1:])
