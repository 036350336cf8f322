//! The load: one thread, some kept connections, one request under way on each. Nothing is allocated between two requests.
//!
//! Promises: reads every answer to its end and counts those that are not 200; says how much of a core it used itself, so that
//! one can see whether it or the server was the bottleneck.

use crate::request::Request;
use crate::stats::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Nothing answered for so long: the server hangs.
const SILENCE_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub enum Until {
    After(Duration),
    Count(u64),
}

/// What is to be sent.
pub struct Plan<'a> {
    pub to: SocketAddr,
    pub connections: usize,
    /// Sent in turn; request `n` is `requests[n % len]`.
    pub requests: &'a [Request],
    /// Number of the first.
    pub first: u64,
    pub until: Until,
    /// Requests per second; `None`: as many as there can be.
    pub rate: Option<u64>,
    /// A new connection for each request.
    pub churn: bool,
}

#[derive(Default)]
pub struct Outcome {
    pub answered: u64,
    /// Answers that were not 200, and connections that broke.
    pub failed: u64,
    pub elapsed: Duration,
    /// CPU time of this thread.
    pub cpu: Duration,
    /// From sending (with a rate: from when it was due) to the last byte, ns.
    pub latency: Histogram,
}

/// As many as there can be on 32 connections, `count` of them from number 0.
pub fn send(to: SocketAddr, request: Request, count: u64) -> io::Result<Outcome> {
    run(&Plan { to, connections: 32, requests: &[request], first: 0, until: Until::Count(count), rate: None, churn: false })
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    head: Vec<u8>,
    body_left: Option<usize>,
    since: Instant,
    busy: bool,
    ok: bool,
}

fn thread_cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
}

/// Runs the plan on this thread.
pub fn run(plan: &Plan<'_>) -> io::Result<Outcome> {
    let mut load = Load::open(plan)?;
    let (start, cpu) = (Instant::now(), thread_cpu());
    load.start = start;
    load.work()?;
    load.outcome.elapsed = start.elapsed();
    load.outcome.cpu = thread_cpu() - cpu;
    Ok(load.outcome)
}

struct Load<'a> {
    plan: &'a Plan<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    next: u64,
    start: Instant,
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl<'a> Load<'a> {
    fn open(plan: &'a Plan<'a>) -> io::Result<Load<'a>> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for n in 0..plan.connections {
            let mut stream = connect(plan.to)?;
            poll.registry().register(&mut stream, Token(n), Interest::READABLE)?;
            let (out, head) = (Vec::with_capacity(4_096), Vec::with_capacity(4_096));
            connections.push(Connection { stream, out, sent: 0, head, body_left: None, since: Instant::now(), busy: false, ok: true });
        }
        let idle = (0..plan.connections).rev().collect();
        let buffer = vec![0; 256 * 1_024];
        Ok(Load { plan, poll, connections, idle, next: 0, start: Instant::now(), buffer, outcome: Outcome::default() })
    }

    fn work(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.plan.connections);
        let mut heard = Instant::now();
        loop {
            let now = Instant::now();
            let more = self.send_due(now)?;
            if !more && self.idle.len() == self.connections.len() {
                return Ok(());
            }
            let wait = if self.plan.rate.is_some() { Duration::from_micros(200) } else { SILENCE_MAX };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                heard = now;
                self.read(event.token().0, more)?;
            }
            if heard.elapsed() > SILENCE_MAX {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server does not answer"));
            }
        }
    }

    /// Sends what is due on idle connections. `false`: nothing more will be due.
    fn send_due(&mut self, now: Instant) -> io::Result<bool> {
        let more = self.is_more(now);
        while more && self.is_more(now) {
            let since = match self.plan.rate {
                None => now,
                Some(rate) => match self.start + Duration::from_nanos(self.next * 1_000_000_000 / rate) {
                    due if due > now => break,
                    due => due,
                },
            };
            let Some(at) = self.idle.pop() else { break };
            self.send(at, since)?;
        }
        Ok(more)
    }

    fn is_more(&self, now: Instant) -> bool {
        match self.plan.until {
            Until::After(span) => now - self.start < span,
            Until::Count(count) => self.next < count,
        }
    }

    fn send(&mut self, at: usize, since: Instant) -> io::Result<()> {
        let n = self.plan.first + self.next;
        self.next += 1;
        let request = &self.plan.requests[(n % self.plan.requests.len() as u64) as usize];
        let connection = &mut self.connections[at];
        connection.out.clear();
        request.write(n, &mut connection.out);
        (connection.sent, connection.since, connection.busy) = (0, since, true);
        connection.push()
    }

    fn read(&mut self, at: usize, more: bool) -> io::Result<()> {
        let connection = &mut self.connections[at];
        if !connection.busy {
            return Ok(());
        }
        connection.push()?;
        loop {
            match connection.stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.outcome.failed += 1;
                    return self.reconnect(at);
                }
                Ok(len) if connection.take(&self.buffer[..len]) => break,
                // Less than there was room for: there is no more now.
                Ok(len) if len < self.buffer.len() => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.outcome.failed += 1;
                    return self.reconnect(at);
                }
            }
        }
        let now = Instant::now();
        connection.busy = false;
        self.outcome.answered += 1;
        self.outcome.failed += u64::from(!connection.ok);
        self.outcome.latency.add((now - connection.since).as_nanos() as u64);
        if self.plan.churn {
            return self.reconnect(at);
        }
        if more && self.plan.rate.is_none() && self.is_more(now) {
            return self.send(at, now);
        }
        self.idle.push(at);
        Ok(())
    }

    fn reconnect(&mut self, at: usize) -> io::Result<()> {
        let mut stream = connect(self.plan.to)?;
        let connection = &mut self.connections[at];
        self.poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        connection.stream = stream;
        connection.head.clear();
        (connection.body_left, connection.busy) = (None, false);
        self.idle.push(at);
        Ok(())
    }
}

/// Closing resets the connection, so that churn does not use up all ports.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

impl Connection {
    fn push(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes what was read; `true` when the answer is whole.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        if self.body_left.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
            self.ok = self.head.get(9..12) == Some(b"200");
            self.body_left = Some(content_length(&self.head[..end + 2]));
            bytes = &bytes[end + 4 - before..];
            self.head.clear();
        }
        let left = self.body_left.unwrap_or_default().saturating_sub(bytes.len());
        self.body_left = (left > 0).then_some(left);
        left == 0
    }
}

pub fn content_length(head: &[u8]) -> usize {
    let name = b"content-length:";
    let line = head.split(|b| *b == b'\n').find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
    let digits = line.unwrap_or_default().iter().skip(name.len()).filter(|b| b.is_ascii_digit());
    digits.fold(0, |n, d| n * 10 + usize::from(d - b'0'))
}
