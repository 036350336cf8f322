//! What is shown: a table that is drawn anew in place, or on anything that is no terminal lines as things happen.

use super::super::say;
use super::super::table::{printable, table};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Write};

/// The other screen, so that what was there comes back; no cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_REST_OF_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";
/// Where the terminal does not say how large it is.
const SIZE: (usize, usize) = (120, 40);
/// Heading, hints and blank lines around table and events.
const EVENT_LINES_MIN: usize = 3;

pub const HEADING: [&str; 9] = ["NODE", "ADDRESS", "PID", "STATE", "SERVICES", "INSTANCES", "HEALTHY", "DIGEST", "PEERS UP"];
pub type Row = [String; HEADING.len()];

/// Everything there is to show.
pub struct Page<'a> {
    pub title: String,
    pub rows: Vec<Row>,
    pub summary: String,
    pub events: &'a [String],
    pub hints: &'a [String],
    /// Keys of an order that is not whole yet.
    pub begun: String,
}

/// Where it is shown. A terminal is as it was when this goes.
pub struct Screen {
    /// `None`: lines.
    before: Option<Termios>,
    on_terminal: bool,
    rows: Vec<Row>,
}

impl Screen {
    pub fn open() -> Screen {
        let on_terminal = std::io::stdout().is_terminal();
        let before = if on_terminal { keys_at_once() } else { None };
        if on_terminal {
            put(ENTER);
        }
        Screen { before, on_terminal, rows: Vec::new() }
    }

    /// Something that happened; a terminal shows it with the next page.
    pub fn event(&self, line: &str) {
        if !self.on_terminal {
            say(line);
        }
    }

    pub fn show(&mut self, page: &Page<'_>) {
        if self.on_terminal {
            let size = tcgetwinsize(std::io::stdout()).map_or(SIZE, |size| (size.ws_col.into(), size.ws_row.into()));
            return put(&drawn(page, size));
        }
        for line in news(&self.rows, &page.rows) {
            say(&line);
        }
        self.rows = page.rows.clone();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before); // a terminal that has gone needs no care
        }
        if self.on_terminal {
            put(LEAVE);
        }
    }
}

/// Whether keys may be read: a process in the background would be stopped for it.
pub fn may_read_keys() -> bool {
    let stdin = std::io::stdin();
    !stdin.is_terminal() || tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Keys come one by one and are not echoed; Ctrl-C stays a signal. Answers what to go back to.
fn keys_at_once() -> Option<Termios> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok().filter(|_| may_read_keys())?;
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &now).ok()?;
    Some(before)
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush()); // a terminal that has gone sends SIGHUP
}

/// The whole screen, over what was there.
fn drawn(page: &Page<'_>, (columns, lines): (usize, usize)) -> String {
    let mut shown = vec![page.title.clone(), String::new()];
    shown.extend(table(HEADING, &page.rows).lines().map(str::to_string));
    shown.extend([page.summary.clone(), String::new()]);
    let room = lines.saturating_sub(shown.len() + page.hints.len() + 3).max(EVENT_LINES_MIN);
    shown.extend(page.events[page.events.len().saturating_sub(room)..].iter().cloned());
    shown.push(String::new());
    shown.extend(page.hints.iter().cloned());
    if !page.begun.is_empty() {
        shown.push(format!("{} …", page.begun));
    }
    shown.truncate(lines.max(1));
    let clipped = shown.iter().map(|line| printable(line).chars().take(columns).collect::<String>());
    let text: Vec<String> = clipped.map(|line| format!("{line}{CLEAR_REST_OF_LINE}")).collect();
    format!("{HOME}{}{CLEAR_BELOW}", text.join("\r\n"))
}

/// A line for each node that is not as it was.
fn news(before: &[Row], now: &[Row]) -> Vec<String> {
    let changed = now.iter().enumerate().filter(|(at, row)| before.get(*at) != Some(row));
    changed
        .map(|(_, [number, address, pid, state, services, instances, healthy, digest, peers])| {
            format!(
                "node {number}  {address}  pid {pid}  {state}  services {services}  instances {instances}  healthy {healthy}  \
                 digest {digest}  peers up {peers}"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn row(number: &str, state: &str) -> Row {
        [number, "127.0.0.1:8848", "12", state, "1", "2", "2", "00ff", "2 of 2"].map(str::to_string)
    }

    #[test]
    fn a_page_is_drawn_over_the_last_one_and_keeps_to_the_screen() {
        let events: Vec<String> = (1..=20).map(|n| format!("event {n}")).collect();
        let hints = vec!["k kill".to_string()];
        let rows = vec![row("1", "READY"), row("2", "PAUSED")];
        let page = Page {
            title: "3 nodes".to_string(),
            rows,
            summary: "equal".to_string(),
            events: &events,
            hints: &hints,
            begun: "k".to_string(),
        };
        let text = drawn(&page, (60, 15));
        assert!(text.starts_with(HOME) && text.ends_with(CLEAR_BELOW));
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines.len() <= 15 && lines.iter().all(|line| line.chars().count() <= 60 + HOME.len() + 6), "{lines:?}");
        assert!(text.contains("event 20") && !text.contains("event 14"), "{text}");
        assert!(text.contains("k …"));
    }

    #[test]
    fn without_a_terminal_only_what_changed_is_said() {
        let before = vec![row("1", "READY"), row("2", "READY")];
        let now = vec![row("1", "READY"), row("2", "PAUSED")];
        expect!["node 2  127.0.0.1:8848  pid 12  PAUSED  services 1  instances 2  healthy 2  digest 00ff  peers up 2 of 2"]
            .assert_eq(&news(&before, &now).join("\n"));
        assert!(news(&now, &now).is_empty());
        assert_eq!(news(&[], &now).len(), 2);
    }
}
