"""What the node measures of itself."""
