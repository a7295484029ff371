"""One update of the parameters, purely: optimizer, schedule, state, step."""
