//! `SnapshotWriter`: keeps on disk what a restart must not lose, and reads it at start.
//!
//! ```text
//! Load ── clock mark, manifest, buckets ──▶ ServiceActors         once, before the node warms up
//! tick ── clock mark ahead of the clock; while Ready changed buckets, then the manifest ──▶ Disk
//! Close ── the same once more;  Leave ── the clock as it stands
//! ```
//! Views are read where everybody reads them; bytes are made and written on the disk's own thread, a bucket at a time, and flushed
//! all at once. Never: holds more than one bucket, writes a manifest over a bucket that could not be written, asks a service
//! anything but to merge.

mod load;
mod messages;

pub use messages::*;

use crate::actors::core::Core;
use crate::actors::realm::{Cell, Realm};
use crate::actors::registrar::Registrar;
use crate::model::datum::Datum;
use crate::model::time::Millis;
use crate::net::disk::{Disk, DiskError, Making};
use crate::protocol::digest::BUCKETS;
use crate::protocol::snapshot::{ClockMark, ROUND_PERIOD_MS, Shelves, Step, Survey, is_worth_keeping, rest_ms};
use crate::wire::datum::{DatumWriter, Pushed};
use crate::wire::snapshot::{CLOCK_NAME, ClockFile, MANIFEST_NAME, Manifest, bucket_name, write_bucket, write_clock, write_manifest};
use actix::prelude::*;
use log::{error, info};
use std::cell::Cell as Flag;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often it is looked whether anything is due. A leap of the clock is marked this much late.
const TICK: Duration = Duration::from_millis(200);

/// Reads what is on disk and merges it; `true`: with the instances, all of them. Wants the registrar to know its threads.
pub async fn load(core: &Core) -> bool {
    match &core.snapshot {
        Some(writer) => writer.send(Load).await.unwrap_or(false),
        None => false,
    }
}

pub struct SnapshotWriter {
    archive: Rc<Archive>,
    registrar: Addr<Registrar>,
    /// Ready without a break since.
    ready_since: Option<Millis>,
    /// When the last round began; later, if it took long.
    rounded_at: Millis,
}

/// What the writer's own futures share.
struct Archive {
    realm: Arc<Realm>,
    disk: Rc<dyn Disk>,
    /// Locked by the round that goes on.
    files: Mutex<Shelves>,
    /// Locked while the mark is written.
    mark: Mutex<ClockMark>,
    /// A round that goes on leaves the rest to the last one.
    closing: Flag<bool>,
}

/// What a round is to change on disk.
#[derive(Default)]
struct Due {
    buckets: Vec<(u16, Survey)>,
    written: Vec<String>,
    removed: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Only while the node serves.
    Periodic,
    /// It has served until just now.
    Last,
}

// === impl SnapshotWriter ===

impl SnapshotWriter {
    pub fn new(realm: Arc<Realm>, registrar: Addr<Registrar>, disk: Rc<dyn Disk>) -> SnapshotWriter {
        let rounded_at = realm.clock.now();
        let (files, mark) = (Mutex::default(), Mutex::default());
        let archive = Rc::new(Archive { realm, disk, files, mark, closing: Flag::new(false) });
        SnapshotWriter { archive, registrar, ready_since: None, rounded_at }
    }

    /// Armed when all is read: what is on disk must not be written over before.
    fn arm(&self, ctx: &mut Context<Self>) {
        ctx.run_later(TICK, |writer, ctx| {
            writer.tick(ctx);
            writer.arm(ctx);
        });
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let archive = self.archive.clone();
        ctx.spawn(async move { archive.keep_mark().await }.into_actor(self));
        let now = self.archive.realm.clock.now();
        self.ready_since = self.ready_since.or(Some(now)).filter(|_| self.archive.realm.is_serving());
        // The first round waits for clients to come back: until then what is here says less than what is on disk.
        let due = self.ready_since.is_some_and(|since| now >= since.max(self.rounded_at) + ROUND_PERIOD_MS);
        let archive = self.archive.clone();
        if !due || archive.closing.get() || archive.files.try_lock().is_err() {
            return;
        }
        self.rounded_at = now;
        ctx.spawn(async move { archive.round(Round::Periodic).await }.into_actor(self).map(|_, writer, _| {
            let now = writer.archive.realm.clock.now();
            let next = now + rest_ms(now.since(writer.rounded_at));
            writer.rounded_at = writer.rounded_at.max(next.before(ROUND_PERIOD_MS));
        }));
    }
}

impl Archive {
    /// Writes what is due of the buckets, then the manifest. `false`: there is no new snapshot.
    async fn round(&self, round: Round) -> bool {
        let mut files = self.files.lock().await;
        let epoch = self.realm.pause.epoch();
        let mut due = Due::default();
        for bucket in 0..BUCKETS as u16 {
            if round == Round::Periodic && (self.closing.get() || !self.realm.is_serving()) {
                return false;
            }
            if !self.stage_bucket(bucket, &mut files, &mut due).await {
                return false;
            }
            tokio::task::yield_now().await;
        }
        // What was read before a pause is old news, and whoever is not Ready may have less than what is on disk.
        let valid = self.realm.pause.epoch() == epoch && (round == Round::Last || self.realm.is_serving());
        if !valid || !self.commit(due, &mut files).await {
            return false;
        }
        let manifest = Manifest { taken_ms: self.realm.clock.wall() };
        let written = self.disk.write(MANIFEST_NAME, write_manifest(&manifest)).await;
        if self.note(written) {
            let picture = SnapshotPicture { taken: Some(self.realm.clock.now()), problem: None };
            if self.realm.snapshot.swap(Arc::new(picture)).problem.is_some() {
                info!("the snapshot is written again");
            }
            return true;
        }
        false
    }

    /// `false`: what is due of this bucket could not be written.
    async fn stage_bucket(&self, bucket: u16, files: &mut Shelves, due: &mut Due) -> bool {
        let changed = self.realm.index.changed().take(bucket);
        let cells = self.realm.index.bucket(bucket);
        let now = self.realm.clock.now();
        let mut survey = Survey::default();
        cells.iter().for_each(|cell| survey.add(&cell.glance().view, now));
        let name = bucket_name(bucket);
        match files.step(bucket, changed, survey) {
            Step::Leave => return true,
            Step::Write => {
                let staged = self.disk.stage(&name, making(bucket, cells, now)).await;
                if !self.note(staged) {
                    return false;
                }
                due.written.push(name);
            }
            Step::Remove => due.removed.push(name),
        }
        due.buckets.push((bucket, survey));
        true
    }

    /// `false`: what is on disk of these buckets is not, or may not be, what is here.
    async fn commit(&self, due: Due, files: &mut Shelves) -> bool {
        if due.buckets.is_empty() {
            return true;
        }
        let fine = self.note(self.disk.commit(due.written, due.removed).await);
        if fine {
            self.realm.metrics.snapshot_buckets.add(due.buckets.len() as u64);
            due.buckets.into_iter().for_each(|(bucket, survey)| files.done(bucket, survey));
        }
        fine
    }

    /// Reserves time on disk before the clock gets there.
    async fn keep_mark(&self) {
        let Ok(mut mark) = self.mark.try_lock() else { return };
        let now = self.realm.clock.now();
        let Some(due) = mark.due(self.realm.stamps.highest(now), now) else { return };
        let file = ClockFile { mark: due, ..self.clocks() };
        if self.note(self.disk.write(CLOCK_NAME, write_clock(&file)).await) {
            mark.reserved(due, file.clock, now);
        }
    }

    /// Nothing is minted any more: the next process goes on from here, not from what was reserved.
    async fn leave_mark(&self) {
        let _mark = self.mark.lock().await;
        self.note(self.disk.write(CLOCK_NAME, write_clock(&self.clocks())).await);
    }

    /// The machine's clocks, and right after them ours: what passes between is not lost.
    fn clocks(&self) -> ClockFile {
        let (up, wall_ms) = (self.realm.clock.uptime(), self.realm.clock.wall());
        let clock = self.realm.stamps.highest(self.realm.clock.now());
        ClockFile { mark: clock, clock, wall_ms, up }
    }

    /// Tells of trouble when it begins; a complete snapshot ends it. `true`: there was none.
    fn note<T>(&self, worked: Result<T, DiskError>) -> bool {
        let Err(e) = worked else { return true };
        self.realm.metrics.snapshot_failures.add(1);
        let picture = SnapshotPicture { problem: Some(e.to_string()), ..**self.realm.snapshot.load() };
        if self.realm.snapshot.swap(Arc::new(picture)).problem.is_none() {
            error!("{e}: a restart will find the last snapshot that could be written; make room or mend the permissions");
        }
        false
    }
}

/// Makes a bucket's file from the views as they are when it is called. `now`: what silences are counted to.
fn making(bucket: u16, cells: Vec<Arc<Cell>>, now: Millis) -> Making {
    Box::new(move || {
        let mut writer = DatumWriter::new(usize::MAX);
        for cell in cells {
            let picture = cell.view();
            if is_worth_keeping(&picture.view) {
                let pushed = writer.push(&Datum::whole(&picture.view, now));
                debug_assert_eq!(pushed, Pushed::Whole, "a writer without a limit takes everything");
            }
        }
        write_bucket(bucket, &writer.finish())
    })
}

impl Actor for SnapshotWriter {
    type Context = Context<Self>;
}

impl Handler<Load> for SnapshotWriter {
    type Result = ResponseActFuture<Self, bool>;
    fn handle(&mut self, _: Load, _: &mut Self::Context) -> Self::Result {
        let (archive, registrar) = (self.archive.clone(), self.registrar.clone());
        let loaded = async move { archive.load(registrar).await };
        Box::pin(loaded.into_actor(self).map(|fresh, writer, ctx| {
            writer.arm(ctx);
            fresh
        }))
    }
}

impl Handler<Close> for SnapshotWriter {
    type Result = ResponseFuture<bool>;
    fn handle(&mut self, Close { was_ready }: Close, _: &mut Self::Context) -> Self::Result {
        let archive = self.archive.clone();
        archive.closing.set(true);
        Box::pin(async move { was_ready && archive.round(Round::Last).await })
    }
}

impl Handler<Leave> for SnapshotWriter {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, _: Leave, _: &mut Self::Context) -> Self::Result {
        let archive = self.archive.clone();
        Box::pin(async move { archive.leave_mark().await }.into_actor(self).map(|(), _, ctx| ctx.stop()))
    }
}

impl Handler<Observe> for SnapshotWriter {
    type Result = SnapshotPicture;
    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> SnapshotPicture {
        (**self.archive.realm.snapshot.load()).clone()
    }
}

#[cfg(test)]
mod tests;
