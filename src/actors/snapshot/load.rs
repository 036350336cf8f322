//! Reads what is on disk: the clock's mark first, then bucket by bucket what may still be merged.
//!
//! Settings, switches, namespaces and `lastRefTime` are merged whatever their age; instances only from a fresh snapshot. Files that
//! cannot be used are left out, and make a snapshot that is not fresh: who has a hole waits longer for a peer.

use super::Archive;
use crate::actors::delivery::deliver;
use crate::actors::notifier::Origin;
use crate::actors::realm::Realm;
use crate::actors::registrar::Registrar;
use crate::actors::settings;
use crate::model::datum::{Datum, DatumBody};
use crate::protocol::digest::BUCKETS;
use crate::protocol::warmup::FRESH_MS;
use crate::wire::snapshot::{CLOCK_NAME, MANIFEST_NAME, bucket_name, bucket_of, read_bucket, read_clock, read_manifest};
use actix::Addr;
use log::{info, warn};

impl Archive {
    pub(super) async fn load(&self, registrar: Addr<Registrar>) -> bool {
        self.start_clock().await;
        let age_ms = self.age_ms().await;
        let names = match self.disk.list().await {
            Ok(names) => names,
            Err(e) => {
                warn!("{e}: nothing is taken over from before");
                return false;
            }
        };
        let (mut services, mut damaged) = (0, 0);
        for bucket in names.iter().filter_map(|name| bucket_of(name)).filter(|bucket| usize::from(*bucket) < BUCKETS) {
            self.files.lock().await.found(bucket);
            match self.read(bucket).await {
                Ok(data) => {
                    let data: Vec<Datum> = data.into_iter().filter_map(|datum| usable(datum, age_ms)).collect();
                    services += data.len();
                    deliver(self.realm.clone(), registrar.clone(), data, Origin::Snapshot).await;
                }
                Err(reason) => {
                    damaged += 1;
                    self.realm.metrics.snapshot_damaged.add(1);
                    warn!(file = bucket_name(bucket); "left out of the snapshot: {reason}");
                }
            }
        }
        settings::repaint(&self.realm);
        if services + damaged > 0 {
            let age_s = age_ms.map_or_else(|| "too old".to_string(), |ms| format!("{} s", ms / 1_000));
            info!(services, damaged, age = age_s; "snapshot read");
        }
        age_ms.is_some() && damaged == 0
    }

    /// Goes on from the clock of before, and reserves time anew before anything is minted.
    async fn start_clock(&self) {
        match self.disk.read(CLOCK_NAME).await {
            Ok(None) => {}
            Ok(Some(bytes)) => match read_clock(&bytes) {
                Ok(file) => {
                    let Realm { clock, stamps, .. } = &*self.realm;
                    let resumed = file.resumed(clock.wall(), clock.uptime().as_ref());
                    if let Err(e) = stamps.resume(resumed, clock.now()) {
                        warn!(file = CLOCK_NAME; "the clock starts from the machine's: a {e}");
                    }
                }
                Err(e) => warn!(file = CLOCK_NAME; "the clock starts from the machine's: the file {e}"),
            },
            Err(e) => warn!("{e}: the clock starts from the machine's"),
        }
        self.keep_mark().await;
    }

    /// How old the snapshot is, if it is fresh.
    async fn age_ms(&self) -> Option<u64> {
        let manifest = match self.disk.read(MANIFEST_NAME).await {
            Ok(None) => return None,
            Ok(Some(bytes)) => read_manifest(&bytes).map_err(|e| format!("the file {e}")),
            Err(e) => Err(e.to_string()),
        };
        match manifest {
            Ok(manifest) => manifest.age_ms(self.realm.clock.wall()).filter(|age_ms| *age_ms < FRESH_MS),
            Err(reason) => {
                warn!(file = MANIFEST_NAME; "nobody knows how old the snapshot is, its instances are left out: {reason}");
                None
            }
        }
    }

    async fn read(&self, bucket: u16) -> Result<Vec<Datum>, String> {
        let bytes = self.disk.read(&bucket_name(bucket)).await.map_err(|e| e.to_string())?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        let file = read_bucket(&bytes).map_err(|e| format!("the file {e}"))?;
        if file.bucket == bucket { Ok(file.data) } else { Err(format!("the file is that of bucket {}", file.bucket)) }
    }
}

/// What may be merged of a datum, if anything. `age_ms`: of the snapshot; `None`: it is not fresh.
fn usable(mut datum: Datum, age_ms: Option<u64>) -> Option<Datum> {
    let DatumBody::Stamped(incoming) = &mut datum.body else { return None };
    match age_ms {
        // A bucket's file may be older than the manifest, but was true at its moment: only the time since then is added.
        Some(age_ms) => incoming.versions.iter_mut().filter_map(|v| v.silence_ms.as_mut()).for_each(|ms| *ms = ms.saturating_add(age_ms)),
        None if datum.key.is_reserved() => {}
        None => incoming.versions.clear(),
    }
    // A service that is nothing but its `lastRefTime` is unknown: the clock's mark sees to it that its next one is greater.
    (!incoming.versions.is_empty() || incoming.settings.is_some()).then_some(datum)
}
