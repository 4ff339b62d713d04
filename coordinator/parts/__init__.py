"""What `coordinator.app` puts together, part by part."""
