//! What goes wrong, and when it ends.

use crate::places::Kept;
use crate::world::{Event, World};
use headcount::model::peer::PeerAddr;
use rand::Rng;

const REBOOT_MS: u64 = 10_000;

#[derive(Clone, Debug)]
pub enum Fault {
    Crash {
        node: usize,
        down_ms: u64,
        kept: Kept,
    },
    CrashAll {
        down_ms: u64,
        kept: Kept,
    },
    Pause {
        node: usize,
        ms: u64,
        timer_stands_too: bool,
    },
    PauseAll {
        ms: u64,
    },
    /// Calls from the first to the second of each pair do not arrive.
    Cut {
        kind: Kind,
        pairs: Vec<(usize, usize)>,
        ms: u64,
    },
    /// Its answers to peers do not arrive.
    Hang {
        node: usize,
        ms: u64,
    },
    Loss {
        chance: f64,
        ms: u64,
    },
    /// All calls take up to so long.
    Delay {
        by_ms: u64,
        ms: u64,
    },
    /// Some calls take so much longer than others that they are overtaken.
    Reorder {
        ms: u64,
    },
    Slow {
        node: usize,
        by_ms: u64,
        ms: u64,
    },
    /// Calls arrive twice, the second time up to 3 s later.
    Repeat {
        ms: u64,
    },
    /// Its member list lacks another, or itself.
    Unlist {
        node: usize,
        other: usize,
        ms: u64,
    },
    /// Its member list has one more, where nobody is.
    Ghost {
        node: usize,
        ms: u64,
    },
    /// The machine's wall clock is set.
    Jump {
        node: usize,
        by_ms: i64,
    },
}

/// Who is cut off from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One from all others.
    Island,
    /// One from another.
    Pair,
    /// The one does not reach the other, who reaches it.
    OneWay,
    /// Two parts.
    Split,
    /// Nobody reaches the next one.
    Ring,
    /// Everybody reaches only the next one and the one before.
    Necklace,
}

impl Fault {
    /// As it is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Crash { kept: Kept::Machine, .. } => "crash, restart from its disk",
            Fault::Crash { kept: Kept::Disk, .. } => "reboot",
            Fault::Crash { kept: Kept::Nothing, .. } => "crash, restart without a disk",
            Fault::CrashAll { kept: Kept::Machine, .. } => "crash of all, restart from their disks",
            Fault::CrashAll { kept: Kept::Disk, .. } => "reboot of all",
            Fault::CrashAll { kept: Kept::Nothing, .. } => "crash of all, restart without disks",
            Fault::Pause { timer_stands_too: false, .. } => "pause",
            Fault::Pause { timer_stands_too: true, .. } => "suspension of a machine",
            Fault::PauseAll { .. } => "pause of all",
            Fault::Cut { kind: Kind::Island, .. } => "cut, one from all",
            Fault::Cut { kind: Kind::Pair, .. } => "cut, one from another",
            Fault::Cut { kind: Kind::OneWay, .. } => "cut, one way",
            Fault::Cut { kind: Kind::Split, .. } => "cut, in two",
            Fault::Cut { kind: Kind::Ring, .. } => "cut, ring one way",
            Fault::Cut { kind: Kind::Necklace, .. } => "cut, neighbours only",
            Fault::Hang { .. } => "answers to peers lost",
            Fault::Loss { .. } => "loss",
            Fault::Delay { .. } => "delay",
            Fault::Reorder { .. } => "reordering",
            Fault::Slow { .. } => "slow peer",
            Fault::Repeat { .. } => "duplication",
            Fault::Unlist { node, other, .. } if node == other => "member list without itself",
            Fault::Unlist { .. } => "member list without another",
            Fault::Ghost { .. } => "member list with a stranger",
            Fault::Jump { .. } => "clock jump",
        }
    }

    /// When it is over, and what it did is put right.
    fn ms(&self) -> u64 {
        match self {
            Fault::Crash { down_ms: ms, .. } | Fault::CrashAll { down_ms: ms, .. } => ms + 2_000,
            Fault::Pause { ms, .. } | Fault::PauseAll { ms } => ms + 1_000,
            Fault::Cut { ms, .. } | Fault::Hang { ms, .. } | Fault::Loss { ms, .. } | Fault::Delay { ms, .. } => *ms,
            Fault::Reorder { ms } | Fault::Slow { ms, .. } | Fault::Repeat { ms } => *ms,
            Fault::Unlist { ms, .. } | Fault::Ghost { ms, .. } => *ms,
            Fault::Jump { .. } => 0,
        }
    }
}

/// The state of the network.
pub struct Weather {
    blocked: Vec<Vec<u32>>,
    pub hung: Vec<bool>,
    pub slow_ms: Vec<u64>,
    pub loss: f64,
    pub delay_ms: u64,
    pub reorders: bool,
    pub repeats: bool,
    pub underway: Vec<Option<Fault>>,
    /// When the last fault ended, or a process that was struck was put right.
    pub last_fault: u64,
    /// Loss or slowness now or lately.
    pub last_rough: u64,
}

impl Weather {
    pub fn fair(nodes: usize) -> Weather {
        Weather {
            blocked: vec![vec![0; nodes]; nodes],
            hung: vec![false; nodes],
            slow_ms: vec![0; nodes],
            loss: 0.0,
            delay_ms: 0,
            reorders: false,
            repeats: false,
            underway: Vec::new(),
            last_fault: 0,
            last_rough: 0,
        }
    }

    pub fn blocks(&self, from: usize, to: usize) -> bool {
        self.blocked[from][to] > 0
    }

    pub fn is_rough(&self) -> bool {
        self.loss > 0.0 || self.delay_ms > 0 || self.reorders || self.slow_ms.iter().any(|ms| *ms > 0)
    }

    pub fn is_fair(&self) -> bool {
        self.underway.iter().all(Option::is_none)
    }
}

impl World {
    /// Faults at random moments between `from` and `to`; the longest lasts `ms_max`.
    pub fn plan_faults(&mut self, from: u64, to: u64, ms_max: u64) {
        let mut at = from + self.rng.random_range(0..5_000);
        let gap_ms = self.rng.random_range(4_000..25_000);
        while at < to {
            let longest = ms_max.min(to - at).max(500);
            let fault = self.any_fault(longest);
            self.at(at, Event::Fault(fault));
            at += self.rng.random_range(200..gap_ms);
        }
    }

    /// All nodes go down at once, for up to 20 s, and come back from their disks; other faults only after that.
    pub fn plan_blackout(&mut self, from: u64, to: u64, ms_max: u64) {
        let at = from + self.rng.random_range(30_000..40_000);
        let down_ms = self.rng.random_range(500..20_000);
        let kept = if self.rng.random_bool(0.5) { Kept::Machine } else { Kept::Disk };
        self.at(at, Event::Fault(Fault::CrashAll { down_ms: reboot_ms(down_ms, kept), kept }));
        self.plan_faults(at + 60_000, to, ms_max);
    }

    /// One node is away for longer than tombstones are kept where nobody is, and nothing else goes wrong meanwhile.
    pub fn plan_absence(&mut self, from: u64, to: u64, ms_max: u64) {
        let at = from + self.rng.random_range(20_000..30_000);
        let ms = self.rng.random_range(210_000..250_000);
        let node = self.rng.random_range(0..self.nodes());
        let fault = if self.rng.random_bool(0.5) {
            let others = (0..self.nodes()).filter(|other| *other != node);
            Fault::Cut { kind: Kind::Island, pairs: others.flat_map(|other| [(node, other), (other, node)]).collect(), ms }
        } else {
            Fault::Pause { node, ms, timer_stands_too: self.rng.random_bool(0.3) }
        };
        self.at(at, Event::Fault(fault));
        self.plan_faults(at + ms + 30_000, to, ms_max);
    }

    fn any_fault(&mut self, longest: u64) -> Fault {
        let nodes = self.nodes();
        let node = self.rng.random_range(0..nodes);
        let other = (node + self.rng.random_range(1..nodes)) % nodes;
        let ms = self.rng.random_range(200..=longest);
        let kept = match self.rng.random_range(0..10) {
            0..5 => Kept::Machine,
            5..7 => Kept::Disk,
            _ => Kept::Nothing,
        };
        match self.rng.random_range(0..100) {
            0..19 => Fault::Crash { node, down_ms: reboot_ms(ms, kept), kept },
            19..22 => Fault::CrashAll { down_ms: reboot_ms(ms.min(10_000), kept), kept },
            22..37 => Fault::Pause { node, ms, timer_stands_too: self.rng.random_bool(0.3) },
            37..39 => Fault::PauseAll { ms },
            39..68 => self.any_cut(node, other, ms),
            68..73 => Fault::Hang { node, ms },
            73..78 => Fault::Loss { chance: self.rng.random_range(0.02..0.15), ms },
            78..80 => Fault::Delay { by_ms: self.rng.random_range(50..500), ms },
            80..83 => Fault::Reorder { ms },
            83..87 => Fault::Slow { node, by_ms: self.rng.random_range(50..900), ms },
            87..90 => Fault::Repeat { ms },
            90..93 => Fault::Unlist { node, other, ms },
            93..95 => Fault::Unlist { node, other: node, ms },
            95..97 => Fault::Ghost { node, ms },
            _ => Fault::Jump { node, by_ms: self.rng.random_range(-3_600_000..=3_600_000) },
        }
    }

    fn any_cut(&mut self, node: usize, other: usize, ms: u64) -> Fault {
        let n = self.nodes();
        let pairs = (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let side = |at: usize| (at + node) % n < n / 2;
        let next = |a: usize, b: usize| (a + 1) % n == b;
        let (kind, pairs): (Kind, Vec<(usize, usize)>) = match self.rng.random_range(0..29) {
            0..9 => (Kind::Island, pairs.filter(|(a, b)| *a == node || *b == node).collect()),
            9..15 => (Kind::Pair, vec![(node, other), (other, node)]),
            15..21 => (Kind::OneWay, vec![(node, other)]),
            21..26 => (Kind::Split, pairs.filter(|(a, b)| side(*a) != side(*b)).collect()),
            26 | 27 if n > 3 => (Kind::Necklace, pairs.filter(|(a, b)| !next(*a, *b) && !next(*b, *a)).collect()),
            _ => (Kind::Ring, pairs.filter(|(a, b)| next(*a, *b)).collect()),
        };
        Fault::Cut { kind, pairs, ms }
    }

    pub fn strike(&mut self, fault: Fault) {
        *self.census.faults.entry(fault.kind()).or_default() += 1;
        self.memory.blackout = None;
        if let Fault::CrashAll { kept: Kept::Machine | Kept::Disk, .. } = fault {
            self.see_blackout();
        }
        self.weather.last_fault = self.now;
        self.note(|| format!("fault {fault:?}"));
        match &fault {
            Fault::Crash { node, down_ms, kept } => {
                self.crash(*node, *kept);
                self.after(*down_ms, Event::Restart { node: *node });
            }
            Fault::CrashAll { down_ms, kept } => {
                for node in 0..self.nodes() {
                    self.crash(node, *kept);
                    let late = self.rng.random_range(0..2_000);
                    self.after(down_ms + late, Event::Restart { node });
                }
            }
            Fault::Pause { node, ms, timer_stands_too } => {
                if self.freeze(*node, *timer_stands_too) {
                    self.after(*ms, Event::Wake { node: *node });
                }
            }
            Fault::PauseAll { ms } => {
                for node in 0..self.nodes() {
                    if self.freeze(node, false) {
                        let late = self.rng.random_range(0..1_000);
                        self.after(ms + late, Event::Wake { node });
                    }
                }
            }
            Fault::Jump { node, by_ms } => {
                let now = self.now;
                self.slots[*node].clock.jump(*by_ms, now);
            }
            Fault::Unlist { node, other, .. } => self.list(*node, Some(*other), false),
            Fault::Ghost { node, .. } => self.list(*node, None, true),
            weather => self.set_weather(weather, true),
        }
        let ms = fault.ms();
        let what = self.weather.underway.len();
        self.weather.underway.push(Some(fault));
        self.after(ms, Event::Heal { what });
    }

    pub fn heal(&mut self, what: usize) {
        let Some(fault) = self.weather.underway[what].take() else { return };
        self.weather.last_fault = self.now;
        self.note(|| format!("heal {fault:?}"));
        match fault {
            Fault::Unlist { node, .. } | Fault::Ghost { node, .. } => self.list(node, None, false),
            weather => self.set_weather(&weather, false),
        }
    }

    /// What a fault does to the network while it lasts.
    fn set_weather(&mut self, fault: &Fault, on: bool) {
        let weather = &mut self.weather;
        match fault {
            Fault::Cut { pairs, .. } if on => pairs.iter().for_each(|(a, b)| weather.blocked[*a][*b] += 1),
            Fault::Cut { pairs, .. } => pairs.iter().for_each(|(a, b)| weather.blocked[*a][*b] -= 1),
            Fault::Hang { node, .. } => weather.hung[*node] = on,
            Fault::Loss { chance, .. } => weather.loss = if on { *chance } else { 0.0 },
            Fault::Delay { by_ms, .. } => weather.delay_ms = if on { *by_ms } else { 0 },
            Fault::Reorder { .. } => weather.reorders = on,
            Fault::Slow { node, by_ms, .. } => weather.slow_ms[*node] = if on { *by_ms } else { 0 },
            Fault::Repeat { .. } => weather.repeats = on,
            _ => {}
        }
    }

    /// Gives a node its member list, without `missing`, and with a stranger.
    fn list(&mut self, at: usize, missing: Option<usize>, ghost: bool) {
        let missing = missing.map(|other| self.slots[other].address.clone());
        let all = self.slots.iter().map(|slot| slot.address.clone());
        let stranger = ghost.then(|| PeerAddr::new("10.0.0.99", 8848));
        let members: Vec<_> = all.filter(|address| Some(address) != missing.as_ref()).chain(stranger).collect();
        if missing.is_some_and(|address| address == self.slots[at].address) {
            // It is no member for now: as good as dead.
            self.slots[at].tag += 1;
            self.slots[at].shaken_at = self.now;
        }
        self.slots[at].members.clone_from(&members);
        if let Some(node) = self.running(at) {
            node.list_members(members);
        } else {
            self.slots[at].list_changed = self.slots[at].frozen.is_some();
        }
    }
}

/// No machine is up again at once.
fn reboot_ms(ms: u64, kept: Kept) -> u64 {
    if kept == Kept::Disk { ms.max(REBOOT_MS) } else { ms }
}
