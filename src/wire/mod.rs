//! Bytes ⇄ model, pure: one shape a file.

pub mod peer_beats;
