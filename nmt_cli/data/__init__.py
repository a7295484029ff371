"""Text becomes NumPy arrays: lines, corpora, tokenizers, the data directory, batches. Never imports jax."""
