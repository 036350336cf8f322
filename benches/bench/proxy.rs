//! Stands between nodes and counts what they send each other: members are named by its address, and it passes all bytes on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Listens at `at` for as long as this process lives; what goes either way to `to` is added to `counted`.
pub fn start(at: SocketAddr, to: SocketAddr, counted: Arc<AtomicU64>) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    std::thread::spawn(move || {
        for inward in listener.incoming().flatten() {
            let Ok(outward) = TcpStream::connect(to) else { continue };
            if let (Ok(back_in), Ok(back_out)) = (inward.try_clone(), outward.try_clone()) {
                let (there, back) = (counted.clone(), counted.clone());
                std::thread::spawn(move || pass(inward, outward, &there));
                std::thread::spawn(move || pass(back_out, back_in, &back));
            }
        }
    });
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 64 * 1_024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        counted.fetch_add(len as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
