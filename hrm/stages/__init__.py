"""The chain of artifacts: one plain function a stage, from paths to paths."""
