//! Somebody who listens at a web address, and keeps what is posted there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The longest that anything may take here before it counts as never.
const NEVER: Duration = Duration::from_secs(60);

pub(crate) struct Listener {
    port: u16,
    posted: Receiver<Value>,
}

impl Listener {
    /// Answers this status to the first one who posts, and 200 to all others.
    pub(crate) fn start(first: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, posted) = mpsc::channel();
        thread::spawn(move || {
            let mut status = first;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim().to_lowercase();
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
                let text = String::from_utf8(body).unwrap();
                let posted = serde_json::from_str(&text).unwrap_or(Value::String(text));
                if status == 200 && sender.send(posted).is_err() {
                    return;
                }
                status = 200;
            }
        });
        Self { port, posted }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?key=MARKED-HOOK", self.port)
    }

    /// Waits for what is posted next.
    #[track_caller]
    pub(crate) fn next(&self) -> Value {
        self.posted.recv_timeout(NEVER).expect("something is posted")
    }

    /// All that was posted until now.
    pub(crate) fn posted(&self) -> Vec<Value> {
        self.posted.try_iter().collect()
    }

    /// Waits until this event is posted.
    #[track_caller]
    pub(crate) fn next_of(&self, event: &str) -> Value {
        loop {
            let notice = self.next();
            if notice["event"] == event {
                return notice;
            }
        }
    }
}
