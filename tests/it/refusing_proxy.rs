//! A proxy before Home Assistant that once is not able to hand a callback on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::real::HomeAssistant;

const CALLBACK: &[u8] = b"GET /auth/external/callback";

pub(crate) struct RefusingProxy {
    port: u16,
    refused: Arc<AtomicUsize>,
}

impl RefusingProxy {
    /// Answers 503 to the first callback, and hands everything else on.
    pub(crate) fn before(ha: &HomeAssistant) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = Arc::new(AtomicUsize::new(0));
        let (house, count) = (ha.url().replace("http://", ""), Arc::clone(&refused));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (house, count) = (house.clone(), Arc::clone(&count));
                thread::spawn(move || drop(carry(client, &house, &count)));
            }
        });
        Self { port, refused }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Carries one request, or one WebSocket.
fn carry(mut client: TcpStream, house: &str, count: &AtomicUsize) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let is_websocket = String::from_utf8_lossy(&head).to_lowercase().contains("upgrade: websocket");
    if !is_websocket {
        head.truncate(head.len() - 2);
        head.extend_from_slice(b"connection: close\r\n\r\n");
    }
    if head.starts_with(CALLBACK)
        && count.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    {
        let head =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(head.as_bytes());
    }
    let mut server = TcpStream::connect(house)?;
    server.write_all(&head)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}
