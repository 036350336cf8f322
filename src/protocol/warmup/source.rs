//! One peer that we level with: which page is next.

use crate::model::time::Millis;
use crate::protocol::backoff::Backoff;
use crate::protocol::warmup::{Cursor, PAGE_TIMEOUT_MS, PAGE_TRIES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Pulling,
    Level,
    GivenUp,
}

#[derive(Debug)]
pub struct Source {
    /// Ready when it last answered.
    pub(super) ready: bool,
    pub(super) up: bool,
    /// Ready when it was met: it heard who beat while we could not. One that turns Ready beside us may have heard nobody either.
    pub(super) has_heard: bool,
    progress: Progress,
    cursor: Option<Cursor>,
    asked: Option<(u64, Millis)>,
    retry_at: Millis,
    tries: u32,
    backoff: Backoff,
}

impl Source {
    pub(super) fn new(ready: bool, seed: u64) -> Source {
        let backoff = Backoff::new(seed);
        let (progress, has_heard) = (Progress::Pulling, ready);
        Source { ready, up: true, has_heard, progress, cursor: None, asked: None, retry_at: Millis::ZERO, tries: 0, backoff }
    }

    pub fn is_level(&self) -> bool {
        self.progress == Progress::Level
    }

    /// There is more to merge, and it can be had.
    pub(super) fn is_pending(&self) -> bool {
        self.progress == Progress::Pulling && self.up
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn due(&self) -> Option<Millis> {
        self.is_pending().then(|| self.asked.map_or(self.retry_at, |(_, at)| at + PAGE_TIMEOUT_MS))
    }

    /// The cursor of the page to ask for now, under this id.
    pub(super) fn ask(&mut self, id: u64, now: Millis) -> Option<Option<Cursor>> {
        if !self.is_pending() || self.asked.is_some() || now < self.retry_at {
            return None;
        }
        self.asked = Some((id, now));
        Some(self.cursor.clone())
    }

    /// A page is merged; whether it was the one we waited for, and a sensible one.
    pub(super) fn page(&mut self, id: u64, next: Option<Cursor>, now: Millis) -> bool {
        if next.is_some() && next <= self.cursor {
            self.failed(id, now); // it would lead round in circles
            return false;
        }
        if self.asked.take_if(|(asked, _)| *asked == id).is_none() {
            return false;
        }
        self.tries = 0;
        self.backoff.succeeded();
        self.progress = if next.is_none() { Progress::Level } else { Progress::Pulling };
        self.cursor = next;
        true
    }

    pub(super) fn failed(&mut self, id: u64, now: Millis) {
        if self.asked.take_if(|(asked, _)| *asked == id).is_some() {
            self.retry_at = now + self.backoff.failed();
            self.tries += 1;
            if self.tries >= PAGE_TRIES {
                self.progress = Progress::GivenUp;
            }
        }
    }

    pub(super) fn time_out(&mut self, now: Millis) {
        if let Some((id, at)) = self.asked
            && now >= at + PAGE_TIMEOUT_MS
        {
            self.failed(id, now);
        }
    }

    pub(super) fn down(&mut self) {
        self.up = false;
        self.asked = None;
    }

    /// Given up, but it answers again: it gets another chance.
    pub(super) fn hope(&mut self) {
        if self.progress == Progress::GivenUp {
            self.tries = 0;
            self.start_over();
        }
    }

    /// From the first page again.
    pub(super) fn start_over(&mut self) {
        self.progress = Progress::Pulling;
        self.cursor = None;
        self.asked = None;
    }
}
