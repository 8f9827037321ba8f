//! Metrics: numbers only.
