//! The core of a node: its actors, leaves first, without the edge. The same for a real node and a simulated one.

use crate::actors::desk::Desk;
use crate::actors::java::JavaPeers;
use crate::actors::notifier::{Listeners, Notifier};
use crate::actors::pusher::Pusher;
use crate::actors::realm::Realm;
use crate::actors::registrar::Registrar;
use crate::actors::roster::RosterActor;
use crate::actors::settings::SettingsKeeper;
use crate::actors::snapshot::SnapshotWriter;
use crate::actors::syncer::{DistroSyncer, QueueLimits};
use crate::model::peer::PeerAddr;
use crate::net::disk::Disk;
use crate::net::link::PeerLink;
use actix::{Actor, Addr};
use std::rc::Rc;
use std::sync::Arc;

/// What the core is built from.
pub struct CoreParts {
    pub realm: Arc<Realm>,
    pub link: Rc<dyn PeerLink>,
    /// Told of what consumers see.
    pub pushers: Vec<Addr<Pusher>>,
    /// This node's own address, where configuration says it.
    pub advertised: Option<PeerAddr>,
    pub limits: QueueLimits,
    /// Where the snapshot is kept; none: the node keeps nothing.
    pub disk: Option<Rc<dyn Disk>>,
}

/// The actors every node has once.
#[derive(Clone)]
pub struct Core {
    pub realm: Arc<Realm>,
    pub registrar: Addr<Registrar>,
    pub settings: Addr<SettingsKeeper>,
    /// Where peers' calls are answered; holds roster and syncer.
    pub desk: Desk,
    /// Reads nothing and writes nothing before it is told to [`load`](crate::actors::snapshot::load).
    pub snapshot: Option<Addr<SnapshotWriter>>,
}

impl Core {
    /// Starts them on this thread. The registrar still has to be told the threads that services may live on.
    pub fn start(parts: CoreParts) -> Core {
        let CoreParts { realm, link, pushers, advertised, limits, disk } = parts;
        // The one knot: births need the notifier, and the syncer that it tells needs births.
        let registrar_ctx = actix::Context::<Registrar>::new();
        let registrar = actix::AsyncContext::address(&registrar_ctx);
        let syncer = DistroSyncer::new(realm.clone(), registrar.clone(), link.clone(), limits).start();
        let settings = SettingsKeeper::new(realm.clone(), registrar.clone()).start();
        let told = pushers.iter().map(|pusher| pusher.clone().recipient()).collect();
        let listeners = Listeners { pushers: told, syncer: syncer.clone().recipient(), settings: settings.clone().recipient() };
        let notifier = Notifier::new(listeners, realm.clone()).start();
        registrar_ctx.run(Registrar::new(realm.clone(), notifier.recipient()));
        let java = JavaPeers::new(realm.clone(), registrar.clone(), syncer.clone(), link.clone()).start();
        let roster = RosterActor::new(realm.clone(), link, syncer.clone(), advertised).start();
        let desk = Desk { realm: realm.clone(), roster, syncer, java, pushers };
        let snapshot = disk.map(|disk| SnapshotWriter::new(realm.clone(), registrar.clone(), disk).start());
        Core { realm, registrar, settings, desk, snapshot }
    }
}
