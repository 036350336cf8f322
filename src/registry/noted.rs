//! Full beats heard while the node did not serve yet: they are answered 503, and remembered until it does.

use crate::model::name::ServiceKey;
use crate::model::service::BeatClaim;
use crate::model::time::Millis;
use std::sync::{Mutex, PoisonError};

/// Beats remembered; more are not, and come again in five seconds.
pub const NOTED_MAX: usize = 65_536;

/// See the module.
#[derive(Debug, Default)]
pub struct NotedBeats(Mutex<Vec<(ServiceKey, BeatClaim, Millis)>>);

impl NotedBeats {
    pub fn note(&self, key: ServiceKey, claim: BeatClaim, heard: Millis) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < NOTED_MAX {
            noted.push((key, claim, heard));
        }
    }

    pub fn take(&self) -> Vec<(ServiceKey, BeatClaim, Millis)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
