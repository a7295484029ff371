"""The model: arrays in, arrays out. No files, no prints, no strings beyond configuration."""
