//! HA's WebSocket as the tests speak it, apart from how appcred does.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// A connection that has said who it is.
pub(crate) struct Socket(WebSocket<TcpStream>);

impl Socket {
    #[track_caller]
    pub(crate) fn open(port: u16, token: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(LONGEST_ANSWER)).unwrap();
        let (socket, _) = client(format!("ws://127.0.0.1:{port}/api/websocket"), stream).unwrap();
        let mut socket = Self(socket);
        assert_eq!(socket.receive()["type"], "auth_required");
        socket.send(&json!({"type": "auth", "access_token": token}));
        let welcome = socket.receive();
        assert_eq!(welcome["type"], "auth_ok", "{welcome}");
        socket
    }

    /// Carries out one command and gives its result or error.
    #[track_caller]
    pub(crate) fn call(&mut self, mut command: Value) -> Result<Value, Value> {
        command["id"] = 1.into();
        self.send(&command);
        let mut answer = self.receive();
        assert_eq!(answer["type"], "result", "{answer}");
        if answer["success"] == true {
            Ok(answer["result"].take())
        } else {
            Err(answer["error"].take())
        }
    }

    fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    #[track_caller]
    fn receive(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}
