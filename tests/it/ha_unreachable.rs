//! An address at which no Home Assistant answers: why, and what to write instead.

use std::sync::Arc;

use appcred::http::{Network, authorities_in};
use appcred::model::Secret;
use appcred::target::home_assistant::{ConnectionSettings, connect};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::shell::{Appcred, age_identity};

/// Answers everybody so, in HTTP; gives the port.
async fn plain(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(reply(stream, answer));
        }
    });
    port
}

/// The same behind a certificate; gives its file too.
async fn encrypted(params: CertificateParams) -> (u16, NamedTempFile) {
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    reply(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (port, file)
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
        // The beginning of TLS is none of HTTP, and is not waited for to its end.
        if head == [0x16] {
            break;
        }
    }
    // Whoever has seen enough is gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn certificate(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

#[track_caller]
fn check(url: &str, said: &str, told: &str) {
    assert!(said.contains(told), "{url}: {said}");
    let kinds = ["cannot reach {}: ", "{} is not ready: ", "{} refuses this machine: "];
    let is_kind = |kind: &str| said.starts_with(&kind.replace("{}", url));
    assert!(kinds.into_iter().any(is_kind) && said.contains("; "), "{said}");
}

async fn tried(url: &str, told: &str) {
    tried_with(url, None, told).await;
}

async fn tried_with(url: &str, ca_file: Option<&NamedTempFile>, told: &str) {
    let token = Secret::new("the-token");
    let authorities = ca_file.map_or(Vec::new(), |file| authorities_in(file.path()).unwrap());
    let network = Network { authorities, ..Network::default() };
    let said = connect(ConnectionSettings { url: url.to_owned(), token, network }).await;
    check(url, &said.err().unwrap().to_string(), told);
}

#[tokio::test]
async fn what_answers_otherwise_is_told_with_what_to_write() {
    let page = plain("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    let none = plain("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let old = plain("HTTP/1.0 200 OK\r\n\r\n<html>").await;
    let starting = plain("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let banned = plain("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let moved = plain(
        "HTTP/1.1 301 Moved Permanently\r\nlocation: https://ha.example/api?hush\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let here = "write the address at which a browser shows Home Assistant";
    tried(&format!("http://localhost:{page}"), here).await;
    tried(&format!("http://localhost:{none}"), here).await;
    tried(&format!("http://localhost:{old}"), here).await;
    let bare = format!("write http://localhost:{none}");
    tried(&format!("http://localhost:{none}/lovelace/0"), &bare).await;
    tried(&format!("http://localhost:{old}/lovelace"), "below that path").await;
    tried(&format!("http://localhost:{starting}"), "wait until Home Assistant has started").await;
    tried(&format!("http://localhost:{banned}"), "ip_bans.yaml").await;
    tried(&format!("http://localhost:{moved}"), "redirects to https://ha.example; ").await;
    tried(&format!("https://localhost:{page}"), &format!("write http://localhost:{page}")).await;
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told_with_what_to_do() {
    let (port, file) = encrypted(certificate("other.example")).await;
    tried(&format!("http://localhost:{port}"), &format!("write https://localhost:{port}")).await;
    let url = format!("https://localhost:{port}");
    tried(&url, "as `ca_file` of the target").await;
    tried_with(&url, Some(&file), "not for `localhost` but for DnsName(\"other.example\")").await;
    let mut authority = certificate("localhost");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (port, file) = encrypted(authority).await;
    let url = format!("https://localhost:{port}");
    tried_with(&url, Some(&file), "basicConstraints=CA:FALSE").await;
    let mut old = certificate("localhost");
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let (port, file) = encrypted(old).await;
    tried_with(&format!("https://localhost:{port}"), Some(&file), "has expired; renew it").await;
}

#[tokio::test]
async fn who_is_not_there_is_told_with_where_to_look() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    tried(&format!("http://{free}"), "is Home Assistant running, and is that its port?").await;
    tried("http://nowhere.invalid:8123", "check the name, or write its IP address").await;
    for name in ["no-such-house.local", "no-such-house.local."] {
        let help = "is found by mDNS, which takes Debian's libnss-mdns and works neither in most containers nor beyond the router: write its IP address instead";
        tried(&format!("http://{name}:8123"), help).await;
    }
    for bare in ["ha.local:8123", "127.0.0.1:8123", "ha"] {
        tried(bare, "write it as in http://homeassistant.local:8123").await;
    }
}

#[tokio::test]
async fn a_sign_in_sends_nobody_to_what_is_no_home_assistant() {
    let none = plain("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let run = move || {
        let login = Appcred::new().env("SOPS_AGE_KEY", age_identity().0);
        login.env("HASS_SERVER", format!("http://localhost:{none}")).args(["login"]).status(1).run()
    };
    let ran = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(ran.stderr.starts_with("error: cannot reach http://localhost:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("no Home Assistant answers there"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("Sign in here"), "{}", ran.stderr);
}
