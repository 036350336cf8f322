//! Bytes to model and back, pure: every quirk of Nacos 1.x's wire, and nowhere else.

pub mod form;
pub mod value;
