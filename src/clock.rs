//! The only file that reads time.

use crate::model::time::Millis;
use tokio::time::Instant;

/// This process's monotonic timer. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Clock {
        Clock { began: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Millis {
        Millis(Instant::now().duration_since(self.began).as_millis() as u64)
    }
}
