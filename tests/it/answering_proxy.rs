//! A proxy before Home Assistant that is asked before it hands a request on, and may answer in its place.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::real::HomeAssistant;

const CALLBACK: &[u8] = b"GET /auth/external/callback";
const UNAVAILABLE: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Hands everything on but what it has an answer for.
pub(crate) struct AnsweringProxy {
    port: u16,
}

impl AnsweringProxy {
    /// `answer` is given the head of each request.
    pub(crate) fn before(
        ha: &HomeAssistant,
        answer: impl Fn(&[u8]) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (house, answer) = (ha.url().replace("http://", ""), Arc::new(answer));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (house, answer) = (house.clone(), Arc::clone(&answer));
                thread::spawn(move || drop(carry(client, &house, &*answer)));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Once is not able to hand a callback on.
pub(crate) struct RefusingProxy {
    proxy: AnsweringProxy,
    refused: Arc<AtomicUsize>,
}

impl RefusingProxy {
    /// Answers 503 to the first callback.
    pub(crate) fn before(ha: &HomeAssistant) -> Self {
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let first =
            move || count.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let answer =
            move |head: &[u8]| (head.starts_with(CALLBACK) && first()).then_some(UNAVAILABLE);
        Self { proxy: AnsweringProxy::before(ha, answer), refused }
    }

    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Carries one request, or one WebSocket.
fn carry(
    mut client: TcpStream,
    house: &str,
    answer: &impl Fn(&[u8]) -> Option<&'static str>,
) -> std::io::Result<()> {
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
    if let Some(answer) = answer(&head) {
        return client.write_all(answer.as_bytes());
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
