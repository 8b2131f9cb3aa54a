"""The networks of the studies: plain nn.Modules that return logits and say which data they fit."""
