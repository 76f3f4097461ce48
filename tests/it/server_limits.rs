//! What no visitor can do to the server of `watch`: shut it, or fill the memory.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};

use crate::real::visit;
use crate::serving::{Served, nothing};

/// More than are kept open.
const MANY: usize = 700;

fn open(served: &Served, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, served.port)).unwrap();
    // One that was closed for a newer one may refuse it.
    drop(stream.write_all(request.as_bytes()));
    stream
}

fn head(served: &Served, request: &str) -> String {
    format!("{request} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", served.port)
}

#[track_caller]
fn answers(served: &Served) {
    for (path, status) in [("/healthz", 200), ("/readyz", 503), ("/", 200), ("/metrics", 200)] {
        assert_eq!(visit(&served.url(path)).status, status, "{path}");
    }
}

#[test]
fn connections_that_send_nothing_or_never_all_shut_nobody_out() {
    let served = Served::start(nothing());
    let requests = [
        String::new(),
        "GET / HT".to_owned(),
        head(&served, "GET /"),
        head(&served, "POST /login") + "content-length: 4000\r\n\r\ntoken=",
        head(&served, "POST /healthz") + "transfer-encoding: chunked\r\n\r\n5\r\nab",
    ];
    let mut held = Vec::new();
    for nth in 0..MANY {
        held.push(open(&served, &requests[nth % requests.len()]));
        if nth % 50 == 0 {
            answers(&served);
        }
    }
    answers(&served);
    served.end();
}

#[test]
fn answers_that_nobody_reads_cost_no_memory_and_shut_nobody_out() {
    let served = Served::start(nothing());
    served.show_snapshot(&"x".repeat(16 * 1024 * 1024));
    let before = resident_megabytes();
    let get = head(&served, "GET /api/v1/snapshot") + "\r\n";
    let mut held = Vec::new();
    for nth in 0..MANY {
        held.push(open(&served, &get));
        if nth % 50 == 0 {
            answers(&served);
        }
    }
    answers(&served);
    let grown = resident_megabytes().saturating_sub(before);
    assert!(grown < 1024, "{grown} MB for {MANY} answers of 16 MB");
}

/// What this process takes of the machine's memory.
fn resident_megabytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}
