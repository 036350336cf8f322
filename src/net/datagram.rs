//! Datagrams: the seam between the pusher and the network.
//!
//! One socket sends pushes and receives their acks, since clients answer to where a packet came from. Sending never waits.
//! Never: reads what is inside.

use futures_util::future::LocalBoxFuture;
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;

/// What the socket buffers are asked to hold, bytes; the system may allow less.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Longer datagrams are cut: acks are some 70 bytes.
pub const RECEIVED_BYTES_MAX: usize = 2_048;

/// Sends and receives datagrams. IPv4 addresses are IPv4 here, whatever the socket calls them.
pub trait Datagrams {
    /// Hands over one datagram. [`io::ErrorKind::WouldBlock`]: the buffer is full, see [`writable`](Self::writable).
    fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()>;

    /// Resolves when [`send`](Self::send) is worth another try.
    fn writable(&self) -> LocalBoxFuture<'_, ()>;

    /// The next datagram, and where it came from.
    fn receive(&self) -> LocalBoxFuture<'_, io::Result<(SocketAddr, Vec<u8>)>>;

    /// Where clients see packets come from, as far as this side knows.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The real network.
pub struct UdpDatagrams {
    socket: UdpSocket,
    is_v6: bool,
}

impl UdpDatagrams {
    /// Binds an ephemeral port. Apart from [`new`](Self::new), so that a failure shows at the start, on the thread that starts.
    pub fn bind(ip: IpAddr) -> io::Result<std::net::UdpSocket> {
        let socket = std::net::UdpSocket::bind((ip, 0))?;
        socket.set_nonblocking(true)?;
        let options = SockRef::from(&socket);
        for wanted in [options.set_send_buffer_size(SOCKET_BUFFER_BYTES), options.set_recv_buffer_size(SOCKET_BUFFER_BYTES)] {
            if let Err(error) = wanted {
                log::debug!(error:% = error; "push socket keeps the system's buffer size");
            }
        }
        Ok(socket)
    }

    /// Takes a socket of [`bind`](Self::bind) into this thread's runtime.
    pub fn new(socket: std::net::UdpSocket) -> io::Result<UdpDatagrams> {
        let is_v6 = socket.local_addr()?.is_ipv6();
        Ok(UdpDatagrams { socket: UdpSocket::from_std(socket)?, is_v6 })
    }
}

impl Datagrams for UdpDatagrams {
    fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let to = match to.ip() {
            IpAddr::V4(ip) if self.is_v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        self.socket.try_send_to(bytes, to).map(drop)
    }

    fn writable(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(async {
            // An error is for the next send to find.
            let _ = self.socket.writable().await;
        })
    }

    fn receive(&self) -> LocalBoxFuture<'_, io::Result<(SocketAddr, Vec<u8>)>> {
        Box::pin(async {
            let mut buffer = [0; RECEIVED_BYTES_MAX];
            let (len, from) = self.socket.recv_from(&mut buffer).await?;
            Ok((SocketAddr::new(from.ip().to_canonical(), from.port()), buffer[..len].to_vec()))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    async fn send(datagrams: &UdpDatagrams, to: SocketAddr, bytes: &[u8]) {
        while let Err(error) = datagrams.send(to, bytes) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            datagrams.writable().await;
        }
    }

    #[actix_rt::test]
    async fn a_datagram_goes_out_and_its_answer_comes_back() {
        let client = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client_addr = client.local_addr().unwrap();
        // A socket for both families, where the machine has the second.
        for ip in [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)] {
            let Ok(socket) = UdpDatagrams::bind(ip) else { continue };
            let datagrams = UdpDatagrams::new(socket).unwrap();
            send(&datagrams, client_addr, b"ping").await;
            let mut buffer = [0; 16];
            let (len, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], b"ping");
            assert_eq!(from.port(), datagrams.local_addr().unwrap().port());
            client.send_to(b"pong", from).unwrap();
            assert_eq!(datagrams.receive().await.unwrap(), (client_addr, b"pong".to_vec()));
        }
    }

    #[actix_rt::test]
    async fn what_no_datagram_can_hold_is_an_error_at_once() {
        let datagrams = UdpDatagrams::new(UdpDatagrams::bind(Ipv4Addr::LOCALHOST.into()).unwrap()).unwrap();
        datagrams.writable().await;
        let error = datagrams.send("127.0.0.1:9".parse().unwrap(), &[0; 70_000]).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
