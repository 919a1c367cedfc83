"""Training samples: who may be trained on, labelled CTs, random geometry and appearance, the stream."""
