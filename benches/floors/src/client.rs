//! Clients of Home Assistant that do nothing but the protocol.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Done;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// How much appcred reads at once too.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// What appcred asks before a plan; the list also afterwards.
const QUESTIONS: [&str; 6] = [
    "auth/current_user",
    "get_config",
    "config_entries/get",
    "config_entries/flow/progress",
    "application_credentials/config",
    "application_credentials/list",
];

/// Creates credentials in arrays of 100, never more than 500 unanswered, with coalesced answers.
pub(crate) fn create(url: &str, token: &str, count: usize, is_asking: bool) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut socket = log_in(url, token).await?;
        socket.send(text(json!({"type": "supported_features", "id": 1, "features": {"coalesce_messages": 1}}))).await?;
        receive(&mut socket).await?;
        if is_asking {
            ask(&mut socket, 2, &QUESTIONS).await?;
        }
        let create = |number: usize| {
            json!({"type": "application_credentials/create", "id": number + 10, "domain": "spotify",
                "client_id": format!("client-{number}"), "client_secret": format!("secret-{number}"),
                "name": format!("Client {number}"), "auth_domain": format!("bare-{number}")})
        };
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered <= 400 {
                let array: Vec<Value> = (sent..count.min(sent + 100)).map(create).collect();
                sent += array.len();
                socket.send(text(Value::from(array))).await?;
            }
            answered += receive(&mut socket).await?.as_array().map_or(1, Vec::len);
        }
        if is_asking {
            ask(&mut socket, count + 10, &QUESTIONS[5..]).await?;
        }
        Ok(socket.close(None).await?)
    })
}

async fn ask(socket: &mut Socket, id: usize, questions: &[&str]) -> Done {
    let each = questions.iter().enumerate().map(|(at, kind)| json!({"type": kind, "id": id + at}));
    socket.send(text(each.collect())).await?;
    let mut answered = 0;
    while answered < questions.len() {
        answered += receive(socket).await?.as_array().map_or(1, Vec::len);
    }
    Ok(())
}

/// Deletes all credentials.
pub(crate) fn clear(url: &str, token: &str) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut socket = log_in(url, token).await?;
        socket.send(text(json!({"type": "application_credentials/list", "id": 1}))).await?;
        let answer = receive(&mut socket).await?;
        for (at, held) in answer["result"].as_array().ok_or("no list")?.iter().enumerate() {
            socket
                .send(text(json!({"type": "application_credentials/delete", "id": at + 2,
                    "application_credentials_id": held["id"]})))
                .await?;
            receive(&mut socket).await?;
        }
        Ok(socket.close(None).await?)
    })
}

/// Holds a connection to each of the houses, with what appcred subscribes to, until it is killed.
pub(crate) fn hold(url: &str, count: usize) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut sockets = Vec::new();
        for house in 0..count {
            let mut socket = log_in(&format!("{url}/{house}"), "x").await?;
            let kinds = [
                "config_entries/flow/subscribe",
                "subscribe_events",
                "application_credentials/list",
            ];
            for (id, kind) in kinds.iter().enumerate() {
                socket.send(text(json!({"type": kind, "id": id + 1}))).await?;
                receive(&mut socket).await?;
            }
            sockets.push(socket);
        }
        println!("held");
        loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    })
}

async fn log_in(url: &str, token: &str) -> Answer<Socket> {
    let address = format!("{}/api/websocket", url.replacen("http", "ws", 1));
    let limits = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let (mut socket, _) =
        tokio_tungstenite::connect_async_with_config(address, Some(limits), false).await?;
    receive(&mut socket).await?;
    socket.send(text(json!({"type": "auth", "access_token": token}))).await?;
    let answer = receive(&mut socket).await?;
    if answer["type"] != "auth_ok" {
        return Err(answer.to_string().into());
    }
    Ok(socket)
}

fn text(value: Value) -> Message {
    Message::text(value.to_string())
}

async fn receive(socket: &mut Socket) -> Answer<Value> {
    let message = socket.next().await.ok_or("the connection ended")??;
    Ok(serde_json::from_str(message.to_text()?)?)
}
