"""Rollouts: the move of a deployment from one version to the next, wave by wave, with proof."""
