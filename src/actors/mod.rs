//! Actors: thin shells around the machines. Receive, ask the machine, carry out its answer.
//!
//! ```text
//! http ── Register, Beat, … ──▶ ServiceActor ── ServiceChanged ──▶ Notifier ─┬▶ Pusher(s)
//!   └──── Ensure ──▶ Registrar ── birth ──▲                                  └▶ DistroSyncer
//! ```
//! Actors meet as `Recipient`s of events; the registrar is asked only when a service is not there, or its actor died.

pub mod core;
pub mod delivery;
pub mod desk;
pub mod door;
pub mod java;
pub mod mail;
pub mod notifier;
pub mod pusher;
pub mod realm;
pub mod registrar;
pub mod renderings;
pub mod roster;
pub mod service;
pub mod settings;
pub mod snapshot;
pub mod syncer;
