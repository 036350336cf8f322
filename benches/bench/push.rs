//! From the `POST` that changes a service to the UDP packet that says so, at one subscriber and at thousands.
//!
//! Subscribers are plain sockets that acknowledge what they read, a port each. The time begins when the request is written.

use crate::process::{self, Process};
use crate::report::{Report, number};
use crate::request::{Crowd, Headers, Request};
use crate::stats::{Histogram, spread};
use crate::talk::Talk;
use crate::{Settings, progress};
use flate2::read::GzDecoder;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Services of the idle part: each is pushed at most every 100 ms.
const SERVICES: u64 = 50;
const CHANGES: u64 = 1_000;
const BETWEEN: Duration = Duration::from_millis(4);
const LOST: Duration = Duration::from_secs(5);
const ROUNDS: u64 = 5;

pub fn run(report: &mut Report, settings: &Settings, quick: bool) -> io::Result<()> {
    let mut rows = vec![idle(settings)?];
    let crowds: &[usize] = if quick { &[1_000] } else { &[1_000, 10_000] };
    for subscribers in crowds {
        rows.push(fan_out(*subscribers, settings)?);
    }
    let head = ["subscribers", "changes", "packets", "p50 ms", "p99 ms", "max ms", "all reached, median ms", "not reached"];
    report.table("Push: change to UDP packet", &head, &rows);
    Ok(())
}

/// Sockets that are subscribed, on one poll.
struct Crowded {
    poll: Poll,
    sockets: Vec<UdpSocket>,
    talk: Talk,
}

impl Crowded {
    /// Socket `n` of `count` subscribes to the services of these numbers.
    fn subscribe(node: &Process, crowd: Crowd, count: usize, services: u64) -> io::Result<Crowded> {
        let poll = Poll::new()?;
        let mut talk = Talk::to(node.addr)?;
        let mut sockets = Vec::with_capacity(count);
        for n in 0..count {
            let mut socket = UdpSocket::bind(([127, 0, 0, 1], 0).into())?;
            poll.registry().register(&mut socket, Token(n), Interest::READABLE)?;
            let port = socket.local_addr()?.port();
            for service in 0..services {
                let name = crowd.service();
                let ask = format!("/instance/list?serviceName={name}&clientIP=127.0.0.1&udpPort={port}");
                talk.ask(&Request::new("GET", &ask, Headers::Short).text(service))?;
            }
            sockets.push(socket);
        }
        Ok(Crowded { poll, sockets, talk })
    }

    /// Makes a change and waits until so many packets came. Returns when the last came; times go into `times`.
    fn change(&mut self, request: &[u8], wanted: usize, times: &mut Histogram) -> io::Result<(usize, Duration)> {
        let start = Instant::now();
        self.talk.ask(request)?;
        let mut events = Events::with_capacity(1_024);
        let (mut got, mut last) = (0, Duration::ZERO);
        let mut buffer = vec![0; 65_536];
        while got < wanted && start.elapsed() < LOST {
            self.poll.poll(&mut events, Some(LOST))?;
            for event in &events {
                let socket = &self.sockets[event.token().0];
                while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    last = start.elapsed();
                    times.add(last.as_nanos() as u64);
                    got += 1;
                    if let Some(ack) = ack(&buffer[..len]) {
                        // A lost ack shows as a second packet.
                        let _ = socket.send_to(&ack, from);
                    }
                }
            }
        }
        Ok((got, last))
    }
}

/// The answer to a packet, by the number at its end.
fn ack(packet: &[u8]) -> Option<Vec<u8>> {
    let mut text = String::new();
    match packet {
        [0x1f, 0x8b, ..] => GzDecoder::new(packet).read_to_string(&mut text).ok()?,
        mut plain => plain.read_to_string(&mut text).ok()?,
    };
    let after = &text[text.rfind("\"lastRefTime\":")? + 14..];
    let number: String = after.trim_start_matches('"').chars().take_while(char::is_ascii_digit).collect();
    Some(format!(r#"{{"type":"push-ack","lastRefTime":"{number}","data":""}}"#).into_bytes())
}

fn idle(settings: &Settings) -> io::Result<Vec<String>> {
    progress("pushes to one subscriber");
    let node = process::headcount(settings.workers)?;
    let crowd = Crowd { name: "push", services: SERVICES, instances: 100_000 };
    let mut crowded = Crowded::subscribe(&node, crowd, 1, SERVICES)?;
    let register = crowd.register(settings.headers);
    let (mut times, mut lost) = (Histogram::default(), 0);
    for n in 0..CHANGES {
        let (got, _) = crowded.change(&register.text(n), 1, &mut times)?;
        lost += 1 - got.min(1);
        std::thread::sleep(BETWEEN);
    }
    Ok(row("1, node idle", CHANGES, &times, "", lost))
}

fn fan_out(subscribers: usize, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("pushes to {} subscribers", number(subscribers as f64)));
    let node = process::headcount(settings.workers)?;
    let crowd = Crowd { name: "fan", services: 1, instances: 100_000 };
    let mut crowded = Crowded::subscribe(&node, crowd, subscribers, 1)?;
    let register = crowd.register(settings.headers);
    let (mut times, mut lost, mut all) = (Histogram::default(), 0, Vec::new());
    for n in 0..ROUNDS {
        let (got, last) = crowded.change(&register.text(n), subscribers, &mut times)?;
        lost += subscribers - got.min(subscribers);
        all.push(last.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(500));
    }
    let median = format!("{:.0}", spread(all).median);
    Ok(row(&number(subscribers as f64), ROUNDS, &times, &median, lost))
}

fn row(name: &str, changes: u64, times: &Histogram, all: &str, lost: usize) -> Vec<String> {
    let ms = |value: f64| format!("{value:.2}");
    vec![
        name.to_string(),
        changes.to_string(),
        number(times.count() as f64),
        ms(times.quantile_ms(0.5)),
        ms(times.quantile_ms(0.99)),
        ms(times.max_ms()),
        all.to_string(),
        lost.to_string(),
    ]
}
