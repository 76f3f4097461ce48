//! A line to Home Assistant that knows messages both ways, and kills a run at one of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::shell::Running;

use super::proxy::Direction;

/// A proxy before Home Assistant; it goes with the test.
pub(super) struct StepProxy {
    port: u16,
    steps: Arc<Steps>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

/// A message, and how many like it came before. What it is says more than its number: some are sent at the same time.
pub(super) type Step = (String, usize);

/// What has passed.
struct Steps {
    /// Where the run is killed. A message to Home Assistant arrives there, and the run is dead before the answer; one
    /// from Home Assistant does not arrive.
    last: Option<Step>,
    victim: OnceLock<OwnedFd>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    steps: Vec<Step>,
    is_over: bool,
}

impl StepProxy {
    pub(super) fn before(house: &str, last: Option<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let house = house.replace("http://", "");
        let steps = Arc::new(Steps { last, victim: OnceLock::new(), seen: Mutex::default() });
        let open = Arc::new(Mutex::new(Vec::new()));
        let (counted, kept) = (Arc::clone(&steps), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&house) else { continue };
                let is_socket = Arc::new(AtomicBool::new(false));
                for (direction, from, to) in
                    [(Direction::Request, &client, &server), (Direction::Answer, &server, &client)]
                {
                    let line = Line {
                        direction,
                        from: from.try_clone().unwrap(),
                        to: to.try_clone().unwrap(),
                        is_socket: Arc::clone(&is_socket),
                        steps: Arc::clone(&counted),
                    };
                    thread::spawn(move || line.run());
                }
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, steps, open }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The run that is killed. No message passes before it is known.
    pub(super) fn aim_at(&self, running: &Running) {
        let process = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
        self.steps.victim.set(pidfd_open(process, PidfdFlags::empty()).unwrap()).unwrap();
    }

    /// Whether the run came so far that it was killed.
    pub(super) fn has_killed(&self) -> bool {
        self.steps.seen.lock().unwrap().is_over
    }

    /// All steps that there were.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.seen.lock().unwrap().steps.clone()
    }
}

impl Drop for StepProxy {
    fn drop(&mut self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Steps {
    /// Lets one message pass, or kills the run.
    fn pass(
        &self,
        direction: Direction,
        message: &[u8],
        is_frame: bool,
        to: &mut TcpStream,
    ) -> std::io::Result<()> {
        let victim = self.victim.wait();
        // One after the other, so that the number of a message says what came before it.
        let mut seen = self.seen.lock().unwrap();
        if seen.is_over {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        let what = describe(direction, message, is_frame);
        let like_it = seen.steps.iter().filter(|(other, _)| *other == what).count();
        let step = (what, like_it);
        seen.is_over = self.last.as_ref() == Some(&step);
        seen.steps.push(step);
        if !seen.is_over {
            return to.write_all(message);
        }
        if direction == Direction::Request {
            to.write_all(message)?;
        }
        // It may be over by now.
        pidfd_send_signal(victim, Signal::KILL).unwrap_or_default();
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }
}

/// One direction of a connection.
struct Line {
    direction: Direction,
    from: TcpStream,
    to: TcpStream,
    is_socket: Arc<AtomicBool>,
    steps: Arc<Steps>,
}

impl Line {
    /// Copies message by message until either end is closed.
    fn run(mut self) {
        if self.copy().is_err() {
            for stream in [&self.from, &self.to] {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }

    fn copy(&mut self) -> std::io::Result<()> {
        let (mut held, mut buffer) = (Vec::new(), vec![0; 65_536]);
        let mut is_upgraded = false;
        loop {
            let count = self.from.read(&mut buffer)?;
            if count == 0 {
                return self.to.shutdown(Shutdown::Write);
            }
            held.extend_from_slice(&buffer[..count]);
            if held.starts_with(b"GET /api/websocket") {
                self.is_socket.store(true, Ordering::SeqCst);
            }
            let is_socket = self.is_socket.load(Ordering::SeqCst);
            while let Some(length) = match (is_socket, is_upgraded) {
                (true, true) => frame(&held).map(|(from, length)| from + length),
                (true, false) => head(&held),
                (false, _) => Some(held.len()).filter(|length| *length > 0),
            } {
                let message: Vec<u8> = held.drain(..length).collect();
                self.steps.pass(self.direction, &message, is_upgraded, &mut self.to)?;
                is_upgraded = is_socket;
            }
        }
    }
}

/// The length of the head of a request or an answer.
fn head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Where the payload of the first WebSocket frame begins, and its length, where the frame is whole.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let second = *bytes.get(1)?;
    let (from, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
        short => (2, usize::from(short)),
    };
    let from = from + if second & 0x80 == 0 { 0 } else { 4 };
    (bytes.len() >= from + length).then_some((from, length))
}

/// What a message is, without what is secret in it.
fn describe(direction: Direction, message: &[u8], is_frame: bool) -> String {
    let arrow = if direction == Direction::Request { "->" } else { "<-" };
    let what = if is_frame {
        let (from, _) = frame(message).unwrap();
        let mask = if message[1] & 0x80 == 0 { &[0; 4] } else { &message[from - 4..from] };
        let clear = message[from..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let clear = String::from_utf8_lossy(&clear.collect::<Vec<_>>()).into_owned();
        let types = clear.split("\"type\":").skip(1).filter_map(|rest| rest.split('"').nth(1));
        let mut types: Vec<_> = types.collect();
        types.dedup();
        if types.is_empty() { "control frame".to_owned() } else { types.join(", ") }
    } else {
        let text = String::from_utf8_lossy(message);
        let line = text.lines().next().unwrap_or_default();
        let line = line.split(' ').filter(|word| !word.starts_with("HTTP/"));
        let line = line.collect::<Vec<_>>().join(" ");
        // The ids of flows and entries are others each time.
        let parts = line.split('/').map(|part| if part.len() > 25 { "ID" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    format!("{arrow} {}", what.chars().take(100).collect::<String>())
}
