"""What a model computes for a sentence, as a trace, a page, a figure."""
