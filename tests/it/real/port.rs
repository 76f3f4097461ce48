//! Ports for servers that open theirs late.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to outgoing connections.
const FIRST: u32 = 16_000;
const COUNT: u32 = 16_000;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, and that no other test of this process was given; test runs side
/// by side begin far from each other.
pub(crate) fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(97);
    loop {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(step < COUNT, "all ports are taken");
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).unwrap();
        if is_free(port) {
            return port;
        }
    }
}

/// Whether somebody listens there now. Asking by a listener of our own could keep a server that
/// is about to listen from doing so.
pub(crate) fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether a server that starts now could listen there.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
