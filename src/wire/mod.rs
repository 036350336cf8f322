//! Bytes ⇄ model, pure.

pub mod push;
