"""params.yaml: its schema, reading it, where outputs lie, what can be told wrong before anything runs."""
