//! A line to a server on which a process is killed when the server sends a certain text, before the text
//! reaches it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::shell::Running;

/// The longest that the text is waited for.
const NEVER: Duration = Duration::from_secs(120);

/// The line. Other texts pass.
pub(crate) struct Tripwire {
    port: u16,
    seen: Receiver<Sender<()>>,
}

impl Tripwire {
    /// A line to this address, as in `http://127.0.0.1:8123`.
    pub(crate) fn start(to: &str, text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, text) = (to.trim_start_matches("http://").to_owned(), text.as_bytes().to_vec());
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || {
            for here in listener.incoming() {
                let here = here.unwrap();
                let there = TcpStream::connect(&to).unwrap();
                let (back_from, back_to) = (there.try_clone().unwrap(), here.try_clone().unwrap());
                thread::spawn(move || pass(here, there, |_| {}));
                let (text, sender) = (text.clone(), sender.clone());
                thread::spawn(move || {
                    pass(back_from, back_to, |bytes| {
                        if bytes.windows(text.len()).any(|at| at == text) {
                            let (done, killed) = mpsc::channel();
                            sender.send(done).unwrap();
                            // Its end is what is waited for: nobody sends here.
                            let _: Result<(), _> = killed.recv();
                        }
                    });
                });
            }
        });
        Self { port, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills a process as soon as the text is on its way to it.
    #[track_caller]
    pub(crate) fn kill(&self, process: &Running) {
        let done = self.seen.recv_timeout(NEVER).expect("the text is sent");
        process.signal(Signal::KILL);
        drop(done);
    }
}

/// Passes all on until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&[u8])) {
    let mut buffer = [0; 65_536];
    loop {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                look(&buffer[..length]);
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
