"""The seven basic expressions in the order that every array, matrix and table of this project uses."""

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
NUM_CLASSES = len(EXPRESSIONS)
(ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE, NEUTRAL) = range(NUM_CLASSES)
