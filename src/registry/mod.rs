//! Memory that readers share with the one writer of each service. No IO, no actor: generic in the writer's handle.

pub mod cell;
pub mod familiar;
pub mod index;
pub mod marks;
pub mod noted;
pub mod watched;
