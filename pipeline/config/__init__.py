"""params.yaml: its schema, reading it, where outputs lie, what can be found wrong before anything runs."""
