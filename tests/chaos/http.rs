//! HTTP/1.1 as small as a crowd needs it: one request, one answer with a Content-Length, on a new connection or a kept one.
//!
//! It never follows, never decompresses, never pipelines. A kept connection that the server has closed is replaced once, as
//! every SDK's transport does.

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a client waits for an answer before it tries the next node.
pub const ANSWER_MAX: Duration = Duration::from_secs(3);
const HEAD_BYTES_MAX: usize = 64 << 10;
const IDLE_KEPT_MAX: usize = 64;

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A request in pieces; `query` is encoded already.
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub agent: &'a str,
    pub headers: &'a str,
    pub body: Option<&'a str>,
}

/// One connection.
struct Line {
    stream: TcpStream,
    used: bool,
}

/// The connections of a crowd to one node.
pub struct Ways {
    addr: SocketAddr,
    idle: RefCell<Vec<Line>>,
}

// === impl Request ===

impl<'a> Request<'a> {
    pub fn get(target: &'a str) -> Request<'a> {
        Request { method: "GET", target, agent: "Nacos-Java-Client:v1.1.4", headers: "", body: None }
    }

    fn bytes(&self, addr: SocketAddr, kept: bool) -> Vec<u8> {
        let connection = if kept { "keep-alive" } else { "close" };
        let form = "Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\n";
        let length = self.body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
        let Request { method, target, agent, headers, body } = self;
        let body = body.unwrap_or_default();
        format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: {agent}\r\n{form}{headers}{length}Connection: {connection}\r\n\r\n{body}")
            .into_bytes()
    }
}

// === impl Ways ===

impl Ways {
    pub fn to(addr: SocketAddr) -> Ways {
        Ways { addr, idle: RefCell::default() }
    }

    /// One answer within `max`, connecting included.
    pub async fn ask(&self, request: &Request<'_>, kept: bool, max: Duration) -> Result<Answer> {
        let late = |_| Error::new(ErrorKind::TimedOut, format!("no answer within {max:?}"));
        tokio::time::timeout(max, self.ask_untimed(request, kept)).await.map_err(late)?
    }

    async fn ask_untimed(&self, request: &Request<'_>, kept: bool) -> Result<Answer> {
        let bytes = request.bytes(self.addr, kept);
        loop {
            let idle = if kept { self.idle.borrow_mut().pop() } else { None };
            let mut line = match idle {
                Some(line) => line,
                None => Line { stream: connect(self.addr).await?, used: false },
            };
            match line.exchange(&bytes).await {
                Ok((answer, stays_open)) => {
                    if kept && stays_open && self.idle.borrow().len() < IDLE_KEPT_MAX {
                        line.used = true;
                        self.idle.borrow_mut().push(line);
                    }
                    return Ok(answer);
                }
                Err(Broken { nothing_came: true, .. }) if line.used => self.idle.borrow_mut().clear(),
                Err(broken) => return Err(broken.error),
            }
        }
    }
}

async fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Broken {
    error: Error,
    nothing_came: bool,
}

impl Line {
    /// The answer, and whether the connection may be used again.
    async fn exchange(&mut self, bytes: &[u8]) -> std::result::Result<(Answer, bool), Broken> {
        let nothing = |error| Broken { error, nothing_came: true };
        self.write(bytes).await.map_err(nothing)?;
        let mut got = Vec::with_capacity(4096);
        let mut head = None;
        loop {
            let nothing_came = got.is_empty();
            let read = self.read(&mut got).await.map_err(|error| Broken { error, nothing_came })?;
            if read == 0 {
                return Err(Broken { error: Error::new(ErrorKind::UnexpectedEof, "closed without an answer"), nothing_came });
            }
            if head.is_none() {
                head = Head::read(&got).map_err(|error| Broken { error, nothing_came: false })?;
            }
            if let Some(Head { status, body_at, length, stays_open }) = head
                && got.len() >= body_at + length
            {
                let body = got[body_at..body_at + length].to_vec();
                return Ok((Answer { status, body }, stays_open && got.len() == body_at + length));
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    async fn read(&self, into: &mut Vec<u8>) -> Result<usize> {
        let mut chunk = [0; 16 << 10];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut chunk) {
                Ok(read) => {
                    into.extend_from_slice(&chunk[..read]);
                    return Ok(read);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}

struct Head {
    status: u16,
    body_at: usize,
    length: usize,
    stays_open: bool,
}

impl Head {
    /// `None`: not all of it has come.
    fn read(got: &[u8]) -> Result<Option<Head>> {
        let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what.to_string());
        let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if got.len() > HEAD_BYTES_MAX { Err(wrong("a head without end")) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&got[..end]).map_err(|_| wrong("a head that is not text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let status: u16 = status.ok_or_else(|| wrong("no status line"))?;
        let (mut length, mut stays_open) = (None, true);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "connection" => stays_open = !value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let length: usize = length.ok_or_else(|| wrong("no Content-Length"))?;
        Ok(Some(Head { status, body_at: end + 4, length, stays_open }))
    }
}
