//! headcount: a service registry node for clients of Nacos 1.x.
//!
//! # The promise
//! Killing, pausing, restarting or isolating any node never hides an instance whose client is alive, and never keeps a dead one
//! for longer than 40 s. A ready node never answers an empty list for a service that has live instances.
//!
//! # Bird's eye
//! ```text
//!             PUT beat of a healthy instance: one look, one atomic, no mailbox
//!          ┌──────────────────────────────────────────────────────────────┐
//! client ─▶ http ─ POST instance ─▶ Door ─▶ ServiceActor ─ publish ▶ Cell ◀── reads ── GET list, digests, pages, pushes
//!                                    │           │ ▲                  ▲
//!                                 (a miss)       │ └── Merge ─────┐   │ touch
//!                                    ▼           ▼                │   │
//!                                Registrar    Notifier ─▶ DistroSyncer ◀─ Desk ◀─ http/distro ◀─ peers
//!                                (births)        │            │ ▲
//!                                                ▼            ▼ │ who is up
//!                                             Pusher      PeerLink ─▶ peers
//!                                             (UDP)             │
//!                                                          RosterActor (members, heartbeats, warm-up, status)
//! ```
//! *Machines decide, actors carry, the edge speaks HTTP.* Everything the protocol decides is a plain value with methods
//! `(state, event, now) → what to do`, tested without a runtime: [`model::service::Service`] for one service, and those in
//! [`protocol`]. Actors ([`actors`]) receive, ask their machine, and carry out the answer. [`http`] turns bytes into questions.
//!
//! # Reading order
//! 1. [`model`]: the words. `stamp` (what orders versions), `entry` (two registers that merge), `service` (the machine), `view`
//!    (what readers hold), `judging` (who may judge silence, and when).
//! 2. [`protocol`]: what nodes do between them: `ownership`, `roster`, `warmup`, `outbox`, `evidence`, `digest`; and `pushbook` for UDP.
//! 3. [`wire`]: bytes to model and back; every quirk of Nacos 1.x is there and nowhere else.
//! 4. [`registry`]: the index from names to cells, and which beats need not be read again; [`clock`], [`pause`], [`config`],
//!    [`switches`], [`namespaces`], [`metrics`].
//! 5. [`net`]: the seams to the network and the disk, which a simulator replaces.
//! 6. [`actors`]: `service`, `registrar`, `notifier`, `roster`, `syncer`, `pusher`, `settings`; `door` (where clients come in) and
//!    `desk` (where peers do); `realm` (what all of a node share); `core` (builds them).
//! 7. [`http`]: the route table, the gate, one resource a file. [`node`] composes it all; [`cli`] is the command line.
//!
//! Modules import downward in this list only; `tests/tidy.rs` checks it, and the sizes of files and functions.
//!
//! # Invariants
//! * One writer a service: its actor. One actor a key: the registrar.
//! * Reads never wait on a mailbox, and nothing a client waits for waits for a peer.
//! * Every version of a register carries a stamp; merging takes the greater, so loss, repetition and order of messages do not matter.
//!   Removal is a stamped tombstone; nothing is deleted because it is missing.
//! * Evidence beats judgement: a node that has heard an instance lately overrules whoever thinks it silent.
//! * Losing any one message delays convergence, never prevents it: digests alone converge.
//! * Every queue is bounded by a limit with a name, and what it drops is counted.
//! * Nothing below rank 3 (`model`, `protocol`, `wire`) observes time, network, environment or thread.
//! * What waited in a socket while this process stood still is neither evidence nor a write ([`pause`]).
//! * A node is a value: several live in one process and share nothing.

pub mod actors;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod namespaces;
pub mod net;
pub mod node;
pub mod pause;
pub mod protocol;
pub mod registry;
pub mod switches;
pub mod wire;
