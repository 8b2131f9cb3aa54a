"""How the learning rate moves: sequences say what the next rate is, strategies say when it is taken."""
