//! One client, one connection, one request at a time: for what is set up, and for clocks that stop at one answer.

use crate::load::content_length;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_MAX: Duration = Duration::from_secs(20);

pub struct Talk {
    stream: TcpStream,
    answer: Vec<u8>,
    buffer: Vec<u8>,
}

impl Talk {
    pub fn to(addr: SocketAddr) -> io::Result<Talk> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Talk { stream, answer: Vec::new(), buffer: vec![0; 64 * 1_024] })
    }

    /// The answer as it came, head and all.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.stream.write_all(request)?;
        self.answer.clear();
        loop {
            let len = self.stream.read(&mut self.buffer)?;
            self.answer.extend_from_slice(&self.buffer[..len]);
            let end = self.answer.windows(4).position(|w| w == b"\r\n\r\n");
            if len == 0 || end.is_some_and(|end| self.answer.len() >= end + 4 + content_length(&self.answer[..end + 2])) {
                return Ok(&self.answer);
            }
        }
    }
}

/// One request on a connection of its own.
pub fn ask(to: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    Talk::to(to)?.ask(request).map(<[u8]>::to_vec)
}

/// The body of an answer.
pub fn body(answer: &[u8]) -> &[u8] {
    answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(&[][..], |end| &answer[end + 4..])
}

/// Whether an answer holds these bytes.
pub fn holds(answer: &[u8], wanted: &[u8]) -> bool {
    answer.windows(wanted.len()).any(|w| w == wanted)
}
