"""Where and how it is computed: device, precision, processes, memory."""
