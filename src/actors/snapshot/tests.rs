//! The writer and what it reads again, on a disk in memory; each `Process` is a node's core in its turn.

use super::*;
use crate::actors::core::{Core, CoreParts};
use crate::actors::delivery::deliver;
use crate::actors::door::Door;
use crate::actors::notifier::Origin;
use crate::actors::realm::RealmRules;
use crate::actors::registrar::Homes;
use crate::actors::service::{CreateService, Deregister, JudgeNow, ServiceEdit};
use crate::actors::settings::{PutRecord, SWITCHES};
use crate::actors::syncer::QueueLimits;
use crate::clock::{Clock, ToldMachine};
use crate::model::cluster::Selector;
use crate::model::datum::DatumBody;
use crate::model::entry::{By, EntryVersion, RANK_SAID, Stamped, State, Status};
use crate::model::instance::{InstanceId, InstanceKey, Metadata, Record};
use crate::model::judging::JudgingRules;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::model::service::Incoming;
use crate::net::disk::MemoryDisk;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use crate::protocol::digest::bucket_of;
use crate::protocol::warmup::FRESH_MS;
use crate::wire::snapshot::{FUTURE_MS_MAX, read_clock, read_manifest};
use futures_util::future::LocalBoxFuture;

const WALL: u64 = 1_700_000_000_000;

struct NoPeers;

impl PeerLink for NoPeers {
    fn call(&self, _: &PeerAddr, _: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>> {
        Box::pin(async { Err(PeerError::Refused) })
    }
}

struct Process {
    core: Core,
    door: Door,
    fresh: bool,
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("public", &format!("DEFAULT_GROUP@@{name}"))
}

impl Process {
    /// Starts a process when the machine's clock says `wall`.
    async fn start(disk: &MemoryDisk, wall: u64) -> Process {
        Process::start_by(disk, Clock::beginning_at(wall)).await
    }

    async fn start_by(disk: &MemoryDisk, clock: Clock) -> Process {
        let realm = Arc::new(Realm::new(clock.wall(), 1, clock, RealmRules::default()));
        let core = Core::start(CoreParts {
            realm: realm.clone(),
            link: Rc::new(NoPeers),
            pushers: Vec::new(),
            advertised: None,
            limits: QueueLimits { owed_keys: 10, beats_waiting: 10 },
            disk: Some(Rc::new(disk.clone())),
        });
        core.registrar.send(Homes(vec![Arbiter::current()])).await.unwrap();
        let fresh = load(&core).await;
        Process { door: Door::new(realm, core.registrar.clone()), core, fresh }
    }

    /// An instance in a service of its own, last heard so long ago.
    async fn hear(&self, name: &str, silence_ms: u64) {
        let realm = &self.core.realm;
        let stamp = realm.stamps.mint(realm.clock.now());
        let record = Record::new(2.5, true, None, Metadata::default(), InstanceId::Simple);
        let version = EntryVersion {
            key: InstanceKey::new("DEFAULT", "1.1.1.1", 80),
            stamped: Stamped { rank: RANK_SAID, stamp, record: Arc::new(record) },
            status: Status::born(State::Healthy, stamp, By::Client),
            silence_ms: Some(silence_ms),
        };
        let incoming = Incoming { versions: vec![version], settings: None, last_ref_ms: 0 };
        let datum = Datum { key: key(name), partial: true, body: DatumBody::Stamped(incoming) };
        deliver(realm.clone(), self.core.registrar.clone(), vec![datum], Origin::SlowPath).await;
    }

    async fn create(&self, name: &str) {
        let edit = ServiceEdit { protect_threshold: 0.5, metadata: Metadata::default(), selector: Selector::None };
        self.door.ask(key(name), CreateService(edit)).await.unwrap();
    }

    async fn close(&self, was_ready: bool) -> bool {
        self.writer().send(Close { was_ready }).await.unwrap()
    }

    fn writer(&self) -> &Addr<SnapshotWriter> {
        self.core.snapshot.as_ref().unwrap()
    }

    fn exists(&self, name: &str) -> bool {
        self.core.realm.cell(&key(name)).is_some_and(|cell| cell.view().view.exists())
    }

    /// State and silence of the service's one instance.
    fn instance(&self, name: &str) -> Option<(State, u64)> {
        let cell = self.core.realm.cell(&key(name))?;
        let picture = cell.view();
        let entry = picture.view.entries().values().next()?;
        Some((entry.status.state, self.core.realm.clock.now().since(entry.heard.at())))
    }

    fn written(&self) -> u64 {
        self.core.realm.metrics.snapshot_buckets.get()
    }
}

/// What a process leaves behind that has an instance, a service made by API and a switch.
async fn left_behind(disk: &MemoryDisk) {
    let first = Process::start(disk, WALL).await;
    assert!(!first.fresh, "nothing was there");
    first.hear("cart", 3_000).await;
    first.create("made").await;
    let record = PutRecord { kind: SWITCHES, name: "lightBeatEnabled".to_string(), value: "false".to_string() };
    first.core.settings.send(record).await.unwrap().unwrap();
    assert!(first.close(true).await);
}

#[actix_rt::test]
async fn what_was_there_is_there_again() {
    let disk = MemoryDisk::default();
    left_behind(&disk).await;
    let next = Process::start(&disk, WALL + 1_000).await;
    assert!(next.fresh);
    assert_eq!(next.instance("cart").map(|(state, _)| state), Some(State::Healthy));
    let cell = next.core.realm.cell(&key("made")).unwrap();
    assert_eq!((cell.view().view.settings().protect_threshold, cell.view().view.is_implicit()), (0.5, false));
    assert!(!next.core.realm.switches.load().light_beat_enabled, "in force before the node warms up");
    let root = next.core.realm.index.sums().root();
    assert!(next.close(true).await);
    assert_eq!(Process::start(&disk, WALL + 2_000).await.core.realm.index.sums().root(), root);
}

#[actix_rt::test]
async fn a_snapshot_too_old_or_from_the_future_brings_settings_only_and_its_instances_never_come_back() {
    for taken_at in [FRESH_MS + 500, 0] {
        let disk = MemoryDisk::default();
        left_behind(&disk).await;
        let now = if taken_at > 0 { WALL + taken_at } else { WALL - FUTURE_MS_MAX - 500 };
        let next = Process::start(&disk, now).await;
        assert!(!next.fresh);
        assert_eq!((next.exists("made"), next.instance("cart"), next.core.realm.cell(&key("cart")).is_some()), (true, None, false));
        assert!(!next.core.realm.switches.load().light_beat_enabled);
        assert!(next.close(true).await);
        let after = Process::start(&disk, now + 1_000).await;
        assert!(after.fresh && after.exists("made") && !after.exists("cart"));
    }
}

#[actix_rt::test]
async fn silence_goes_on_by_the_time_since_the_manifest() {
    let disk = MemoryDisk::default();
    let first = Process::start(&disk, WALL).await;
    first.hear("old", 13_500).await;
    first.hear("young", 12_000).await;
    assert!(first.close(true).await);
    let next = Process::start(&disk, WALL + 2_000).await;
    next.core.realm.judging.store(Arc::new(JudgingRules::ALONE));
    for (name, expected) in [("old", State::Unhealthy), ("young", State::Healthy)] {
        next.core.realm.cell(&key(name)).unwrap().handle().send(JudgeNow).await.unwrap();
        let (state, silent_ms) = next.instance(name).unwrap();
        assert_eq!(state, expected, "{name} was silent for {silent_ms} ms");
    }
}

#[actix_rt::test]
async fn only_what_changed_is_written_again_and_a_silent_instance_is_a_change() {
    let disk = MemoryDisk::default();
    let first = Process::start(&disk, WALL).await;
    first.hear("calm", 0).await;
    first.hear("silent", 9_000).await;
    assert!(first.close(true).await);
    assert_eq!(first.written(), 2);
    assert!(first.close(true).await);
    assert_eq!(first.written(), 3);
    first.door.ask(key("calm"), Deregister(InstanceKey::new("DEFAULT", "1.1.1.1", 80))).await.unwrap();
    assert!(first.close(true).await);
    assert_eq!(first.written(), 5);
    let next = Process::start(&disk, WALL).await;
    assert_eq!(next.instance("calm").map(|(state, _)| state), Some(State::Deregistered));
}

#[actix_rt::test]
async fn a_damaged_bucket_is_left_out_and_mended() {
    let disk = MemoryDisk::default();
    left_behind(&disk).await;
    disk.rot(&bucket_name(bucket_of(key("cart").hash())), 200);
    let next = Process::start(&disk, WALL + 1_000).await;
    assert!(!next.fresh, "it has a hole");
    assert_eq!((next.exists("cart"), next.exists("made"), next.core.realm.metrics.snapshot_damaged.get()), (false, true, 1));
    next.hear("cart", 0).await;
    assert!(next.close(true).await);
    let after = Process::start(&disk, WALL + 2_000).await;
    assert!(after.fresh && after.exists("cart") && after.exists("made"));
}

#[actix_rt::test]
async fn without_its_manifest_a_snapshot_is_not_fresh() {
    let disk = MemoryDisk::default();
    left_behind(&disk).await;
    disk.rot(MANIFEST_NAME, 40);
    let next = Process::start(&disk, WALL + 1_000).await;
    assert!(!next.fresh && next.exists("made") && !next.exists("cart"));
}

#[actix_rt::test]
async fn who_was_not_ready_leaves_the_snapshot_as_it_was() {
    let disk = MemoryDisk::default();
    left_behind(&disk).await;
    let next = Process::start(&disk, WALL + 60_000).await;
    next.hear("more", 0).await;
    assert!(!next.close(false).await);
    let manifest = read_manifest(&disk.read(MANIFEST_NAME).await.unwrap().unwrap()).unwrap();
    assert!(manifest.taken_ms < WALL + 60_000);
    assert!(!Process::start(&disk, WALL + 61_000).await.exists("more"));
}

#[actix_rt::test]
async fn a_bucket_that_cannot_be_written_keeps_the_old_manifest_and_is_owed() {
    let disk = MemoryDisk::new(Duration::from_millis(20));
    let first = Process::start(&disk, WALL).await;
    first.hear("cart", 0).await;
    let writer = first.writer().clone();
    let mut closing = Box::pin(writer.send(Close { was_ready: true }));
    let closed = loop {
        tokio::select! {
            closed = &mut closing => break closed,
            () = tokio::time::sleep(Duration::from_millis(1)) => disk.crash(),
        }
    };
    assert!(!closed.unwrap());
    assert_eq!(disk.read(MANIFEST_NAME).await.unwrap(), None);
    let picture = writer.send(Observe).await.unwrap();
    assert!(picture.problem.is_some_and(|problem| problem.starts_with("cannot write all-staged")));
    assert!(first.close(true).await);
    assert_eq!(writer.send(Observe).await.unwrap().problem, None);
    assert!(Process::start(&disk, WALL + 1_000).await.exists("cart"));
}

#[actix_rt::test]
async fn the_clock_goes_on_from_its_mark_and_the_mark_goes_ahead_of_the_clock() {
    let disk = MemoryDisk::default();
    let mark = async || read_clock(&disk.read(CLOCK_NAME).await.unwrap().unwrap()).unwrap().mark >> 16;
    let hour = 3_600_000;
    let first = Process::start(&disk, WALL + hour).await;
    assert!((WALL + hour + 10_000..WALL + hour + 11_000).contains(&mark().await));
    let minted = first.core.realm.stamps.mint(first.core.realm.clock.now());
    first.writer().send(Leave).await.unwrap();
    assert!((minted.millis()..minted.millis() + 1_000).contains(&mark().await), "what was reserved is given back");

    let next = Process::start(&disk, WALL).await; // the machine's clock was set back
    assert!(next.core.realm.stamps.mint(next.core.realm.clock.now()) > minted);
    assert!(mark().await >= minted.millis() + 10_000);
    drop(next);
    disk.rot(CLOCK_NAME, 40);
    let after = Process::start(&disk, WALL).await;
    assert!(after.core.realm.stamps.mint(after.core.realm.clock.now()).millis() < WALL + hour, "without a mark: the machine's clock");
}

#[actix_rt::test]
async fn the_clock_does_not_fall_behind_while_no_process_runs() {
    let (disk, ahead) = (MemoryDisk::default(), WALL + 3_600_000);
    let first = Process::start(&disk, WALL).await;
    let realm = &first.core.realm;
    realm.stamps.observe(ahead << 16, realm.clock.now()).unwrap(); // the others' clocks are an hour ahead of this machine's
    first.writer().send(Leave).await.unwrap();
    let next = Process::start(&disk, WALL + 60_000).await;
    let minted = next.core.realm.stamps.mint(next.core.realm.clock.now());
    assert!((ahead + 59_000..ahead + 70_000).contains(&minted.millis()), "{} ms", minted.millis() - ahead);
}

#[actix_rt::test]
async fn in_the_same_start_of_its_machine_the_clock_goes_on_to_the_moment_leaps_and_all() {
    let disk = MemoryDisk::default();
    let start = async |boot: &str, wall: u64, up_ms: u64| {
        let machine = ToldMachine { wall: Arc::new(wall.into()), boot: boot.into(), up_ms: Arc::new(up_ms.into()) };
        Process::start_by(&disk, Clock::told_by(machine)).await
    };
    let minted = |process: &Process| process.core.realm.stamps.mint(process.core.realm.clock.now()).millis();
    let first = start("a", WALL, 50_000).await;
    let leapt = WALL + 3_600_000;
    first.core.realm.stamps.observe(leapt << 16, first.core.realm.clock.now()).unwrap(); // what a peer said
    let is_marked = async || read_clock(&disk.read(CLOCK_NAME).await.unwrap().unwrap()).unwrap().clock >= leapt << 16;
    while !is_marked().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(first); // as a crash does
    for wall in [WALL - 600_000, WALL + 600_000] {
        let next = start("a", wall, 51_000).await;
        assert!((leapt..leapt + 9_000).contains(&minted(&next)), "{} ms", minted(&next).abs_diff(leapt));
    }
    let rebooted = start("b", WALL + 5_000, 3_000).await;
    assert!(minted(&rebooted) >= leapt + 10_000, "after another start: the mark");
}
