"""How training is computed: device, precision, processes, memory."""
