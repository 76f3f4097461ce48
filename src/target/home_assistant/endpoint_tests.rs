use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{AuthMethod, HomeAssistantEndpoint, NetworkSettings, SessionStore, TokenCommand};
use crate::diagnostic::{Located, SourceFile, Span, Spot};
use crate::model::{Reference, Secret};
use crate::secret::{AllowedPaths, Identities, SecretProgram, SecretResolver};
use crate::target::{ConnectError, TargetError, TargetKind};

fn spot(file: &Path) -> Spot {
    let file = Arc::new(SourceFile::new(file.to_path_buf(), "", |_| Vec::new()));
    Spot { file, span: Span::default() }
}

/// A path that is named in this file.
fn path(path: &str, file: &str) -> Located<PathBuf> {
    Located { value: PathBuf::from(path), spot: spot(Path::new(file)) }
}

fn endpoint(auth: AuthMethod) -> HomeAssistantEndpoint {
    let ca_file = Some(path("ca.pem", "appcred.yaml"));
    let network = NetworkSettings { ca_file, ..NetworkSettings::default() };
    HomeAssistantEndpoint { url: "http://ha:8123".to_owned(), network, auth }
}

fn resolver(project: &Path) -> SecretResolver {
    let paths = AllowedPaths { project: project.to_owned(), ..AllowedPaths::default() };
    SecretResolver::new(Identities::default(), paths)
}

fn tagged(tag: &str, argument: &str, base: &Path) -> AuthMethod {
    let base: Arc<Path> = base.into();
    let spot = spot(&base);
    let reference = Reference::Tagged { tag: tag.to_owned(), argument: argument.to_owned(), base };
    AuthMethod::Reference(Located { value: reference, spot })
}

fn known(token: &str) -> AuthMethod {
    AuthMethod::Token { token: Secret::new(token), from: "HASS_TOKEN".to_owned() }
}

#[test]
fn every_file_that_connecting_reads_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().canonicalize().unwrap();
    std::fs::write(project.join("secrets.yaml"), "token: x\n").unwrap();
    std::fs::write(project.join("token.txt"), "x").unwrap();
    let store = SessionStore::new(PathBuf::from("/sessions"));
    let (resolver, file) = (resolver(&project), project.join("appcred.yaml"));
    let session = store.file("http://ha:8123");
    let command = |program: &str| {
        let (arguments, folder) = (Vec::new(), PathBuf::from("house"));
        AuthMethod::Command(TokenCommand { program: program.to_owned(), arguments, folder })
    };
    let cases: [(AuthMethod, Option<PathBuf>); 7] = [
        (known("x"), None),
        (tagged("secret", "token", &file), Some(project.join("secrets.yaml"))),
        (tagged("file", "token.txt", &file), Some(project.join("token.txt"))),
        (AuthMethod::File(path("/run/token", "a.yaml")), Some(PathBuf::from("/run/token"))),
        (command("./token.sh"), Some(PathBuf::from("house/./token.sh"))),
        (command("pass"), None),
        (AuthMethod::Session, Some(session)),
    ];
    for (auth, expected) in cases {
        let shown = format!("{auth:?}");
        let files = endpoint(auth).files(&resolver, Some(&store));
        let expected: Vec<_> = [PathBuf::from("ca.pem")].into_iter().chain(expected).collect();
        assert_eq!(files, expected, "{shown}");
    }
}

#[test]
fn another_token_is_another_endpoint_and_none_is_printed() {
    let with = |token: &str| endpoint(known(token));
    assert_eq!(with("first-token"), with("first-token"));
    assert_ne!(with("first-token"), with("second-token"));
    assert!(!format!("{:?}", with("first-token")).contains("first-token"));
}

#[test]
fn a_refused_token_is_named_by_where_it_is_from() {
    let (program, folder) = ("pass".to_owned(), PathBuf::from("house"));
    let command = TokenCommand { program, arguments: Vec::new(), folder };
    for (auth, from) in [
        (known("x"), "it is from HASS_TOKEN: replace"),
        (
            tagged("secret", "token", Path::new("a.yaml")),
            "from `!secret token` (a.yaml:0:0): replace",
        ),
        (AuthMethod::File(path("../tokf", "a.yaml")), "../tokf (a.yaml:0:0): replace"),
        (AuthMethod::Command(command), "`pass`"),
        (AuthMethod::Session, "sign in again"),
    ] {
        let error = TargetError::Unauthorized { address: "http://ha".to_owned() };
        let said =
            ConnectError::Rejected { error, advice: auth.advice(&Secret::new("x")) }.to_string();
        assert!(said.starts_with("http://ha refused the access token; it is "), "{said}");
        assert!(said.contains(from), "{said}");
    }
}

/// As where a passphrase is typed: the program ends once something else has gone on, and fails if nothing does.
#[tokio::test]
async fn what_waits_for_a_secret_keeps_nothing_else_from_going_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gone-on");
    let script = "until [ -e gone-on ]; do sleep 0.1; done; echo {} >/dev/null; echo token";
    let command = ["env", "sh", "-c", script].map(str::to_owned).to_vec();
    let timeout = Duration::from_secs(10);
    let program = SecretProgram { command, timeout, environment: Vec::new() };
    let allowed = AllowedPaths {
        project: folder.path().to_owned(),
        sources: [("vault".to_owned(), program)].into(),
        ..AllowedPaths::default()
    };
    let resolver = Arc::new(SecretResolver::new(Identities::default(), allowed));
    let auth = tagged("from", "vault token", &folder.path().join("appcred.yaml"));
    let endpoint = HomeAssistantEndpoint {
        url: "http://127.0.0.1:1".to_owned(),
        network: NetworkSettings::default(),
        auth,
    };
    let goes_on = async { std::fs::write(&file, "").unwrap() };
    let (connected, ()) = tokio::join!(endpoint.connect(&resolver, None), goes_on);
    let error = connected.err().unwrap();
    assert!(matches!(error, ConnectError::Target(_)), "{error}");
}

#[tokio::test]
async fn without_a_session_the_error_says_how_to_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    let (resolver, store) =
        (Arc::new(resolver(folder.path())), SessionStore::new(folder.path().join("none")));
    for sessions in [None, Some(&store)] {
        let network = NetworkSettings::default();
        let endpoint = HomeAssistantEndpoint { network, ..endpoint(AuthMethod::Session) };
        let error = endpoint.connect(&resolver, sessions).await.err().unwrap();
        assert!(matches!(error, ConnectError::NotSignedIn { .. }));
        assert!(error.to_string().contains("appcred login"), "{error}");
    }
}
