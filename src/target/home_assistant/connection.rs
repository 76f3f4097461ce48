//! One WebSocket to HA, shared by all who ask: one task writes, one reads.
//!
//! Commands that wait are packed into arrays, which HA takes at a fraction of the cost. HA cuts off
//! a client with thousands of answers unread although it goes on executing, so only so many
//! commands are in flight, and answers are read while commands are written.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use super::in_flight::{InFlight, Listener, ResultSender, deliver};
use super::messages::{Command, CommandResult, Incoming, NOT_ADMIN, Numbered, shown};
use crate::model::without_values;
use crate::target::fence::{FenceSlot, FencedStream};
use crate::target::wiped_json::to_json;
use crate::target::{Denial, Refusal, Stop};

/// Commands sent and not yet answered. HA cuts the line at 4,096 answers that wait.
const MAX_IN_FLIGHT: usize = 512;
/// Commands in one frame; more gains nothing.
const MAX_COMMANDS_PER_FRAME: usize = 100;
/// HA closes the socket on a frame above 4 MiB.
const MAX_FRAME_BYTES: usize = 1024 * 1024;
/// Commands that may wait to be sent, enough to fill the next frames.
const MAX_QUEUED: usize = 1024;
/// How long HA may take for an answer. The first look at the integrations takes it seconds on a
/// fast machine.
const ANSWER_TIMEOUT_SECONDS: u64 = 60;
/// Proxies end connections on which nothing is sent, nginx after 60 seconds.
const PING_SECONDS: u64 = 20;
/// A connection on which nothing arrives, not even answers to pings, is lost.
const SILENCE_SECONDS: u64 = 90;
/// How often overdue answers are looked for.
const OVERDUE_CHECK_SECONDS: u64 = 10;
/// How long HA may take to close its end.
const CLOSE_TIMEOUT_SECONDS: u64 = 2;

/// The WebSocket below.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<FencedStream>>;

/// Why a command brought no result.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum CommandError {
    /// HA refused it.
    #[error("{code}: {message}")]
    Refused {
        /// HA's code for the kind of refusal.
        code: String,
        /// HA's message, without values.
        message: String,
    },
    /// The integration has not the step that the flow begins with.
    #[error("HTTP 400: the integration has no such set-up; Home Assistant's log may say more")]
    NoSuchStep,
    /// Asked to stop before it was sent.
    #[error("interrupted")]
    Stopped,
    /// It was not sent.
    #[error("not sent: {0}")]
    Unsent(String),
    /// It was sent, and no answer will come.
    #[error("{0}")]
    Lost(String),
    /// It was sent, and HA is still at work.
    #[error("Home Assistant took too long")]
    TimedOut,
    /// The token, its user or this machine is not accepted any more.
    #[error("{0}")]
    Denied(Denial),
    /// The answer has an unknown form.
    #[error("Home Assistant's answer has an unexpected form ({0})")]
    Unreadable(String),
}

impl CommandError {
    /// The same error where the command only read: nothing was changed by it.
    pub(super) fn before_anything_was_done(self) -> Self {
        match self {
            Self::Lost(why) => Self::Unsent(why),
            Self::TimedOut => Self::Unsent(self.to_string()),
            other => other,
        }
    }
}

/// A socket on which log-in is over.
pub(super) struct Connection {
    /// Of pointers: a channel has room for 32 of what it passes on as long as it is open.
    requests: mpsc::Sender<Box<QueuedCommand>>,
    in_flight: Arc<InFlight>,
    ended: CancellationToken,
    tasks: [JoinHandle<()>; 2],
    /// Until when anything is sent.
    pub(super) fence: FenceSlot,
}

struct QueuedCommand {
    command: Command,
    stop: Option<Stop>,
    listener: Option<Listener>,
    asker: ResultSender,
}

/// What HA reports from now on, until the connection is lost.
pub(super) struct Events(mpsc::UnboundedReceiver<Box<RawValue>>);

impl Events {
    /// The next event; `None` when no more can come.
    pub(super) async fn next<E: DeserializeOwned>(&mut self) -> Option<Result<E, CommandError>> {
        let event = self.0.recv().await?;
        Some(
            serde_json::from_str(event.get())
                .map_err(|error| CommandError::Unreadable(without_values(&error))),
        )
    }
}

impl Connection {
    /// Takes over a socket, and the fence of that.
    pub(super) fn new(socket: Socket, fence: FenceSlot) -> Self {
        let (sink, stream) = socket.split();
        let (requests, queue) = mpsc::channel(MAX_QUEUED);
        let in_flight = Arc::new(InFlight::default());
        let ended = CancellationToken::new();
        let reading = read(stream, Arc::clone(&in_flight), ended.clone());
        let writing = write(sink, queue, Arc::clone(&in_flight), ended.clone());
        let tasks = [tokio::spawn(reading), tokio::spawn(writing)];
        Self { requests, in_flight, ended, tasks, fence }
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Sends a command and waits for its result. Those who ask at the same time share frames.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        command: Command,
    ) -> Result<A, CommandError> {
        self.send(command, None, None).await
    }

    /// The same, unless stopped before it is sent.
    pub(super) async fn ask_unless<A: DeserializeOwned>(
        &self,
        stop: &Stop,
        command: Command,
    ) -> Result<A, CommandError> {
        self.send(command, Some(stop.clone()), None).await
    }

    /// Subscribes to what happens from now on.
    pub(super) async fn subscribe(&self, command: Command) -> Result<Events, CommandError> {
        let (listener, events) = mpsc::unbounded_channel();
        self.send::<()>(command, None, Some(Listener::Events(listener))).await?;
        Ok(Events(events))
    }

    /// The same, without what the events say.
    pub(super) async fn subscribe_to_changes(
        &self,
        command: Command,
    ) -> Result<mpsc::UnboundedReceiver<()>, CommandError> {
        let (listener, changes) = mpsc::unbounded_channel();
        self.send::<()>(command, None, Some(Listener::Changes(listener))).await?;
        Ok(changes)
    }

    async fn send<A: DeserializeOwned>(
        &self,
        command: Command,
        stop: Option<Stop>,
        listener: Option<Listener>,
    ) -> Result<A, CommandError> {
        let (asker, answer) = oneshot::channel();
        let unsent = || CommandError::Unsent(self.in_flight.why_lost());
        let secret = command.secret().cloned();
        let request = Box::new(QueuedCommand { command, stop, listener, asker });
        self.requests.send(request).await.map_err(|_| unsent())?;
        // A command in flight gets an error; one whose channel is dropped was still in the queue.
        match answer.await.map_err(|_| unsent())?? {
            CommandResult::Success(result) => serde_json::from_str(&result)
                .map_err(|error| CommandError::Unreadable(without_values(&error))),
            CommandResult::Refused { code, .. } if code == NOT_ADMIN => {
                Err(CommandError::Denied(Denial::Right))
            }
            CommandResult::Refused { code, message } => {
                Err(CommandError::Refused { code, message: shown(&message, secret.as_ref()) })
            }
        }
    }

    /// Closes the WebSocket as the protocol asks for.
    pub(super) async fn close(self) {
        drop(self.requests);
        for task in self.tasks {
            // A task that panicked has nothing left to close.
            drop(task.await);
        }
    }
}

/// Sends what is asked for, until no more commands can come or the connection is lost.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut queue: mpsc::Receiver<Box<QueuedCommand>>,
    in_flight: Arc<InFlight>,
    ended: CancellationToken,
) {
    let sending = async {
        let room = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let mut last_id = 0;
        let every = Duration::from_secs(PING_SECONDS);
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut batch = Vec::new(); // Freed after each frame: most of the time nothing is sent.
            let count = tokio::select! {
                count = queue.recv_many(&mut batch, MAX_COMMANDS_PER_FRAME) => count,
                _ = pings.tick() => {
                    if let Err(error) = sink.send(Message::Ping(Bytes::new())).await {
                        return in_flight.lose(&error.to_string());
                    }
                    continue;
                }
            };
            if count == 0 {
                break;
            }
            let batch = batch.into_iter().map(|queued| *queued).collect();
            for frame in pack(batch, &room, &mut last_id, &in_flight).await {
                if let Err(error) = sink.send(Message::text(frame)).await {
                    return in_flight.lose(&error.to_string());
                }
            }
        }
        // Nobody waits for an answer any more; a peer that has gone already needs no close_frame.
        if sink.close().await.is_ok() {
            drop(timeout(Duration::from_secs(CLOSE_TIMEOUT_SECONDS), ended.cancelled()).await);
        }
    };
    tokio::select! {
        () = sending => {}
        () = ended.cancelled() => {}
    }
    ended.cancel();
}

/// Waits until there is room for a batch, then makes frames of it, each command with its number.
async fn pack(
    batch: Vec<QueuedCommand>,
    room: &Arc<Semaphore>,
    last_id: &mut u64,
    in_flight: &InFlight,
) -> Vec<Utf8Bytes> {
    let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    let Ok(mut permits) = Arc::clone(room).acquire_many_owned(count).await else {
        return Vec::new();
    };
    let mut frames: Vec<Vec<Zeroizing<Vec<u8>>>> = Vec::new();
    let mut frame_length = 0;
    for QueuedCommand { command, stop, listener, asker } in batch {
        if stop.is_some_and(|stop| stop.is_cancelled()) {
            deliver(asker, Err(CommandError::Stopped));
            continue;
        }
        let id = *last_id + 1;
        let text = match to_json(&Numbered { id, command: &command }) {
            Ok(text) if text.len() < MAX_FRAME_BYTES => text,
            Ok(_) => {
                let why = format!(
                    "it is larger than {MAX_FRAME_BYTES} bytes, which Home Assistant refuses"
                );
                deliver(asker, Err(CommandError::Unsent(why)));
                continue;
            }
            Err(error) => {
                deliver(asker, Err(CommandError::Unsent(without_values(&error))));
                continue;
            }
        };
        let Some(permit) = permits.split(1) else { continue };
        *last_id = id;
        in_flight.add(id, asker, listener, command.is_slow(), permit);
        match frames.last_mut() {
            Some(frame) if frame_length + text.len() < MAX_FRAME_BYTES => {
                frame_length += text.len();
                frame.push(text);
            }
            _ => {
                frame_length = text.len();
                frames.push(vec![text]);
            }
        }
    }
    frames.into_iter().map(array).collect()
}

/// One frame of several commands, wiped once it is sent. What the library copies is masked, as
/// the protocol asks of clients.
fn array(commands: Vec<Zeroizing<Vec<u8>>>) -> Utf8Bytes {
    let length = commands.iter().map(|command| command.len() + 1).sum::<usize>() + 1;
    let mut frame = Zeroizing::new(Vec::with_capacity(length));
    for command in &commands {
        let separator = if frame.is_empty() { b'[' } else { b',' };
        frame.push(separator);
        frame.extend_from_slice(command);
    }
    frame.push(b']');
    wiped_text(frame)
}

/// A message that is wiped when nobody uses it any more.
pub(super) fn wiped_text(json: Zeroizing<Vec<u8>>) -> Utf8Bytes {
    // What serde_json writes is UTF-8, so that nothing is lost here.
    Utf8Bytes::try_from(Bytes::from_owner(json)).unwrap_or_default()
}

/// Hands answers on, until the connection is lost or closed.
async fn read(mut stream: SplitStream<Socket>, in_flight: Arc<InFlight>, ended: CancellationToken) {
    let why = tokio::select! {
        why = receive(&mut stream, &in_flight) => why,
        () = ended.cancelled() => "the connection was closed".to_owned(),
    };
    tracing::debug!(why, "connection to Home Assistant ended");
    in_flight.lose(&why);
    ended.cancel();
}

/// Returns why no more answers will come.
async fn receive(stream: &mut SplitStream<Socket>, in_flight: &InFlight) -> String {
    let mut last = Instant::now();
    loop {
        let wait = timeout(Duration::from_secs(OVERDUE_CHECK_SECONDS), stream.next()).await;
        if wait.is_ok() {
            last = Instant::now();
        }
        match wait {
            Ok(Some(Ok(Message::Text(frame)))) => match Incoming::of_frame(&frame) {
                Ok(messages) => {
                    for message in messages {
                        if let Some((id, event)) = message.as_event() {
                            in_flight.dispatch(id, event);
                        } else if let Some((id, answer)) = message.into_answer() {
                            in_flight.answer(id, answer);
                        }
                    }
                }
                Err(error) => {
                    return format!("it sent an invalid message ({})", without_values(&error));
                }
            },
            Ok(Some(Ok(Message::Close(Some(close_frame))))) => {
                return format!("it closed the connection ({})", u16::from(close_frame.code));
            }
            Ok(None | Some(Ok(Message::Close(None)))) => {
                return "it closed the connection".to_owned();
            }
            Ok(Some(Err(error))) => return error.to_string(),
            // Pings are answered below us; binary frames are not HA's.
            Ok(Some(Ok(_))) | Err(_) => {}
        }
        if last.elapsed() >= Duration::from_secs(SILENCE_SECONDS) {
            return format!("nothing came for {SILENCE_SECONDS} seconds");
        }
        if in_flight.is_overdue(Duration::from_secs(ANSWER_TIMEOUT_SECONDS)) {
            return format!("no message for {ANSWER_TIMEOUT_SECONDS} seconds");
        }
    }
}

impl From<CommandError> for Refusal {
    fn from(fault: CommandError) -> Self {
        match fault {
            CommandError::Stopped => Self::Stopped,
            CommandError::Lost(why) => Self::Lost(why),
            CommandError::TimedOut => Self::Lost(fault.to_string()),
            CommandError::Denied(denial) => Self::Denied(denial),
            CommandError::Refused { .. }
            | CommandError::NoSuchStep
            | CommandError::Unsent(_)
            | CommandError::Unreadable(_) => Self::Failed(fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use tokio::io::duplex;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

    use super::{Connection, PING_SECONDS, SILENCE_SECONDS};
    use crate::model::EntryId;
    use crate::target::fence::{CLOSED, Fence, FenceSlot, FencedStream, uptime};
    use crate::target::home_assistant::messages::Command;

    #[tokio::test(start_paused = true)]
    async fn what_a_full_connection_holds_back_does_not_leave_after_the_term() {
        for is_over in [false, true] {
            let (connection, mut theirs) = connection().await;
            let fence = Fence::default();
            fence.open_until(uptime() + Duration::from_secs(3600));
            connection.fence.set(fence.clone());
            let large = EntryId::new("a".repeat(256 * 1024));
            let command = Command::ReadConfigEntry { entry_id: large };
            let asking = connection.ask::<()>(command);
            let reading = async {
                // As much of it as there is room for has left by then.
                tokio::time::sleep(Duration::from_secs(1)).await;
                if is_over {
                    fence.close();
                }
                let arrived = theirs.next().await;
                drop(theirs);
                arrived
            };
            let (asked, arrived) = tokio::join!(asking, reading);
            let is_whole = matches!(arrived, Some(Ok(Message::Text(_))));
            assert_eq!(is_whole, !is_over, "{arrived:?}");
            let why = asked.unwrap_err().to_string();
            assert_eq!(why.contains(CLOSED), is_over, "{why}");
        }
    }

    /// A connection, and the other end of it.
    async fn connection() -> (Connection, WebSocketStream<tokio::io::DuplexStream>) {
        let ((ours, theirs), fence) = (duplex(64 * 1024), FenceSlot::default());
        let ours = FencedStream { stream: Box::new(ours), fence: fence.clone() };
        let ours = MaybeTlsStream::Plain(ours);
        let ours = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let theirs = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        (Connection::new(ours, fence), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_alive_as_long_as_the_other_end_answers() {
        let (connection, mut theirs) = connection().await;
        for _ in 0..20 {
            // What reads a ping answers it.
            assert_eq!(theirs.next().await.unwrap().unwrap(), Message::Ping(Vec::new().into()));
        }
        assert!(!connection.ended.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_comes_ends() {
        let (connection, _theirs) = connection().await;
        let limit = Duration::from_secs(SILENCE_SECONDS + PING_SECONDS);
        tokio::time::timeout(limit, connection.ended()).await.unwrap();
        assert!(connection.in_flight.why_lost().contains("nothing came"));
    }
}
