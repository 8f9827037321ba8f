//! Checkpoints: complete or invisible.
