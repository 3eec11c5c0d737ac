"""RealWorld's Conduit: where users publish, favorite and discuss articles."""
