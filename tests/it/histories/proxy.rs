//! A proxy that does one thing wrong on the line to Home Assistant.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Random;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To Home Assistant.
    Request,
    /// From Home Assistant.
    Answer,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The connection is closed.
    Cut,
    /// Nothing more comes, and the connection stays open.
    Silence,
    /// One bit is another.
    Flip(u8),
    /// Bytes that nobody sent come between.
    Garbage(u64),
    /// The header of a frame comes that announces more than anybody holds.
    Oversized,
    /// What was sent comes twice.
    Twice,
    /// Bytes come one by one, late.
    Trickle,
    /// The connection gets this status instead of an answer.
    Status(u16),
}

/// One fault at one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disturbance {
    fault: Fault,
    direction: Direction,
    /// The number of the connection.
    connection: usize,
    /// So many bytes come through before.
    after: usize,
}

impl Disturbance {
    /// One of all that there are.
    pub(super) fn random(random: &mut Random) -> Self {
        let fault = match random.below(12) {
            0..=3 => Fault::Cut,
            4 => Fault::Silence,
            5..=6 => Fault::Flip(1 << random.below(8)),
            7 => Fault::Garbage(random.next()),
            8 => Fault::Oversized,
            9 => Fault::Twice,
            10 => Fault::Trickle,
            _ => Fault::Status([401, 403, 429, 500, 502, 503][random.below(6)]),
        };
        let direction = if random.is_true() { Direction::Request } else { Direction::Answer };
        let connection = if random.below(3) == 0 { random.below(8) } else { 0 };
        // As likely among the first bytes as among the last.
        let most = 1 << (4 + random.below(11));
        let after = random.below(most);
        Self { fault, direction, connection, after }
    }
}

/// A proxy before Home Assistant; it goes with the test.
pub(super) struct FaultProxy {
    port: u16,
    has_struck: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl FaultProxy {
    /// Hands everything on to this place, but for one disturbance.
    pub(super) fn before(house: &str, disturbance: Disturbance) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let house = house.replace("http://", "");
        let has_struck = Arc::new(AtomicBool::new(false));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (struck, kept) = (Arc::clone(&has_struck), Arc::clone(&open));
        let number = AtomicUsize::new(0);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&house) else { continue };
                let connection = number.fetch_add(1, Ordering::SeqCst);
                let strikes = (connection == disturbance.connection).then_some(disturbance);
                carry(&client, &server, strikes, &struck);
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, has_struck, open }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether the disturbance came about.
    pub(super) fn has_struck(&self) -> bool {
        self.has_struck.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Carries one connection, both ways.
fn carry(
    client: &TcpStream,
    server: &TcpStream,
    strikes: Option<Disturbance>,
    struck: &Arc<AtomicBool>,
) {
    for (direction, from, to) in
        [(Direction::Request, client, server), (Direction::Answer, server, client)]
    {
        let line = Line {
            from: from.try_clone().unwrap(),
            to: to.try_clone().unwrap(),
            client: client.try_clone().unwrap(),
            strikes: strikes.filter(|one| one.direction == direction),
            struck: Arc::clone(struck),
        };
        thread::spawn(move || {
            let (from, to) = (line.from.try_clone(), line.to.try_clone());
            if line.copy().is_err() {
                for stream in [from, to].into_iter().flatten() {
                    drop(stream.shutdown(Shutdown::Both));
                }
            }
        });
    }
}

/// One direction of a connection.
struct Line {
    from: TcpStream,
    to: TcpStream,
    client: TcpStream,
    strikes: Option<Disturbance>,
    struck: Arc<AtomicBool>,
}

impl Line {
    /// Copies until either end is closed.
    fn copy(mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut passed = 0;
        loop {
            let count = self.from.read(&mut buffer)?;
            if count == 0 {
                return self.to.shutdown(Shutdown::Write);
            }
            let chunk = &mut buffer[..count];
            let here = self.strikes.filter(|one| one.after < passed + count);
            match here {
                Some(one) if passed <= one.after => self.strike(one, chunk, one.after - passed)?,
                Some(Disturbance { fault: Fault::Trickle, .. }) => self.trickle(chunk)?,
                Some(Disturbance { fault: Fault::Silence | Fault::Status(_), .. }) => {}
                _ => self.to.write_all(chunk)?,
            }
            passed += count;
        }
    }

    /// Does what is to go wrong at this byte of a chunk.
    fn strike(&mut self, one: Disturbance, chunk: &mut [u8], at: usize) -> std::io::Result<()> {
        self.struck.store(true, Ordering::SeqCst);
        let (before, after) = chunk.split_at_mut(at);
        match one.fault {
            Fault::Cut => {
                self.to.write_all(before)?;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            Fault::Silence => self.to.write_all(before)?,
            Fault::Flip(bit) => {
                after[0] ^= bit;
                self.to.write_all(chunk)?;
            }
            Fault::Garbage(seed) => {
                let mut random = Random(seed);
                let length = 1 + random.below(64);
                let bytes: Vec<_> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
                self.to.write_all(before)?;
                self.to.write_all(&bytes)?;
                self.to.write_all(after)?;
            }
            Fault::Oversized => {
                self.to.write_all(before)?;
                self.to.write_all(&[0x81, 0x7f, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])?;
                self.to.write_all(after)?;
            }
            Fault::Twice => {
                self.to.write_all(chunk)?;
                self.to.write_all(chunk)?;
            }
            Fault::Trickle => {
                self.to.write_all(before)?;
                self.trickle(after)?;
            }
            Fault::Status(status) => {
                let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
                self.client.write_all(answer.as_bytes())?;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }

    /// Sends the first bytes one by one.
    fn trickle(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (slow, rest) = bytes.split_at(bytes.len().min(16));
        for byte in slow {
            self.to.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(1));
        }
        self.to.write_all(rest)
    }
}
