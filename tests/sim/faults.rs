//! What goes wrong, and when it ends.

use crate::world::{Event, World};
use rand::Rng;

#[derive(Clone, Debug)]
pub enum Fault {
    Crash {
        node: usize,
        down_ms: u64,
    },
    CrashAll {
        down_ms: u64,
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
    Slow {
        node: usize,
        by_ms: u64,
        ms: u64,
    },
    Repeat {
        ms: u64,
    },
    /// Its member list lacks another.
    Unlist {
        node: usize,
        other: usize,
        ms: u64,
    },
}

/// The state of the network.
pub struct Weather {
    blocked: Vec<Vec<u32>>,
    pub hung: Vec<bool>,
    pub slow_ms: Vec<u64>,
    pub loss: f64,
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
        self.loss > 0.0 || self.slow_ms.iter().any(|ms| *ms > 0)
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

    fn any_fault(&mut self, longest: u64) -> Fault {
        let nodes = self.nodes();
        let node = self.rng.random_range(0..nodes);
        let other = (node + self.rng.random_range(1..nodes)) % nodes;
        let ms = self.rng.random_range(200..=longest);
        match self.rng.random_range(0..100) {
            0..20 => Fault::Crash { node, down_ms: ms },
            20..22 => Fault::CrashAll { down_ms: ms.min(10_000) },
            22..40 => Fault::Pause { node, ms, timer_stands_too: self.rng.random_bool(0.3) },
            40..42 => Fault::PauseAll { ms },
            42..52 => Fault::Cut { pairs: (0..nodes).filter(|n| *n != node).flat_map(|n| [(n, node), (node, n)]).collect(), ms },
            52..60 => Fault::Cut { pairs: vec![(node, other), (other, node)], ms },
            60..68 => Fault::Cut { pairs: vec![(node, other)], ms },
            68..74 => {
                let side = |n: usize| (n + node) % nodes < nodes / 2;
                let pairs = (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))).filter(|(a, b)| side(*a) != side(*b));
                Fault::Cut { pairs: pairs.collect(), ms }
            }
            74..80 => Fault::Hang { node, ms },
            80..86 => Fault::Loss { chance: self.rng.random_range(0.02..0.15), ms },
            86..92 => Fault::Slow { node, by_ms: self.rng.random_range(50..900), ms },
            92..95 => Fault::Repeat { ms },
            _ => Fault::Unlist { node, other, ms },
        }
    }

    pub fn strike(&mut self, fault: Fault) {
        self.census.faults += 1;
        self.weather.last_fault = self.now;
        self.note(|| format!("fault {fault:?}"));
        match &fault {
            Fault::Crash { node, down_ms } => {
                self.crash(*node);
                self.after(*down_ms, Event::Restart { node: *node });
            }
            Fault::CrashAll { down_ms } => {
                for node in 0..self.nodes() {
                    self.crash(node);
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
            Fault::Cut { pairs, .. } => pairs.iter().for_each(|(a, b)| self.weather.blocked[*a][*b] += 1),
            Fault::Hang { node, .. } => self.weather.hung[*node] = true,
            Fault::Loss { chance, .. } => self.weather.loss = *chance,
            Fault::Slow { node, by_ms, .. } => self.weather.slow_ms[*node] = *by_ms,
            Fault::Repeat { .. } => self.weather.repeats = true,
            Fault::Unlist { node, other, .. } => self.list(*node, Some(*other)),
        }
        let ms = match &fault {
            Fault::Crash { down_ms: ms, .. } | Fault::CrashAll { down_ms: ms } => ms + 2_000,
            Fault::Pause { ms, .. } | Fault::PauseAll { ms } => ms + 1_000,
            Fault::Cut { ms, .. } | Fault::Hang { ms, .. } | Fault::Loss { ms, .. } => *ms,
            Fault::Slow { ms, .. } | Fault::Repeat { ms } | Fault::Unlist { ms, .. } => *ms,
        };
        let what = self.weather.underway.len();
        self.weather.underway.push(Some(fault));
        self.after(ms, Event::Heal { what });
    }

    pub fn heal(&mut self, what: usize) {
        let Some(fault) = self.weather.underway[what].take() else { return };
        self.weather.last_fault = self.now;
        self.note(|| format!("heal {fault:?}"));
        match fault {
            Fault::Cut { pairs, .. } => pairs.iter().for_each(|(a, b)| self.weather.blocked[*a][*b] -= 1),
            Fault::Hang { node, .. } => self.weather.hung[node] = false,
            Fault::Loss { .. } => self.weather.loss = 0.0,
            Fault::Slow { node, .. } => self.weather.slow_ms[node] = 0,
            Fault::Repeat { .. } => self.weather.repeats = false,
            Fault::Unlist { node, .. } => self.list(node, None),
            _ => {}
        }
    }

    /// Gives a node its member list, without `missing`.
    fn list(&mut self, at: usize, missing: Option<usize>) {
        let missing = missing.map(|other| self.slots[other].address.clone());
        let all = self.slots.iter().map(|slot| slot.address.clone());
        let members: Vec<_> = all.filter(|address| Some(address) != missing.as_ref()).collect();
        self.slots[at].members.clone_from(&members);
        if let Some(node) = self.running(at) {
            node.list_members(members);
        } else {
            self.slots[at].list_changed = self.slots[at].frozen.is_some();
        }
    }
}
