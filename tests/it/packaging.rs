//! What is shipped beside the program, as far as a second is enough; `packaging/try` does the rest.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;

use serde_json::Value;

use crate::serving::{Served, nothing};
use crate::shell::Appcred;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// The words after an instruction of the Dockerfile that end it as a JSON array.
fn words(dockerfile: &str, instruction: &str) -> Vec<String> {
    let mut lines = dockerfile.lines().filter(|line| line.starts_with(instruction));
    let line = lines.next_back().unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

#[test]
fn health_asks_the_watcher_of_this_machine() {
    let health = |address: &str| Appcred::new().args(["health", "--listen", address]);
    let served = Served::start(nothing());
    let port = served.port;
    health(&format!("127.0.0.1:{port}")).stdout("").stderr("").run();
    health(&format!("0.0.0.0:{port}")).run();
    Appcred::new().args(["health"]).env("APPCRED_LISTEN", format!("localhost:{port}")).run();
    served.end();
    let ran = health(&format!("127.0.0.1:{port}")).status(1).run();
    assert!(ran.stderr.contains("does `appcred watch` listen there?"), "{}", ran.stderr);
    let ran = health("off").status(1).run();
    assert!(ran.stderr.contains("serves no /healthz"), "{}", ran.stderr);
}

#[test]
fn health_fails_where_the_watcher_does_not_work() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stopped = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        let length = peer.read(&mut asked).unwrap();
        peer.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let ran = Appcred::new().args(["health", "--listen", &address]).status(1).run();
    assert!(ran.stderr.contains("/healthz answers 503"), "{}", ran.stderr);
    assert!(stopped.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
}

#[test]
fn what_the_image_and_compose_run_is_understood() {
    let dockerfile = fs::read_to_string(root().join("packaging/container/Dockerfile")).unwrap();
    let program = &words(&dockerfile, "ENTRYPOINT")[..];
    assert_eq!(program, ["/usr/bin/appcred"]);
    let [checked, health @ ..] = &words(&dockerfile, "HEALTHCHECK")[..] else { panic!() };
    assert_eq!(checked, &program[0]);
    let ran = Appcred::new().env("APPCRED_LISTEN", "127.0.0.1:1").args(health).status(1).run();
    assert!(ran.stderr.contains("cannot ask 127.0.0.1:1"), "{}", ran.stderr);

    let compose = yaml("packaging/container/compose.yaml");
    let service = &compose["services"]["appcred"];
    let version = env!("CARGO_PKG_VERSION");
    assert!(service["image"].as_str().unwrap().ends_with(&format!(":{version}")), "{service}");
    let command = service["command"].as_array().unwrap().iter().filter_map(Value::as_str);
    let ran = Appcred::new().args(command).status(1).run();
    assert!(ran.stderr.contains("cannot read /secrets/status-token"), "{}", ran.stderr);
    Appcred::new().args(words(&dockerfile, "CMD")).args(["--help"]).run();
}

#[test]
fn what_the_packages_take_from_here_is_there() {
    let packages = yaml("packaging/nfpm.yaml");
    let scripts = packages["scripts"].as_object().unwrap().values();
    let contents = packages["contents"].as_array().unwrap().iter().map(|file| &file["src"]);
    let files = scripts.chain(contents).filter_map(Value::as_str);
    for file in files.filter(|file| !file.starts_with("${FILES}/")) {
        assert!(root().join(file).is_file(), "{file}");
    }
}
