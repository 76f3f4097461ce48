//! Where sessions are kept: one age file for each running HA, in a folder of this person's own.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sign_in::LoginSession;
use crate::files::{self, FileLock, TEXT_LIMIT, wait_for};
use crate::model::{Secret, Visible};
use crate::secret::seal::{AgeEncryptError, seal};
use crate::secret::{SecretResolver, Unreadable};
use crate::target::wiped_json::to_json;

/// A session is ended at Home Assistant while its file is locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a session is not kept or not found.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The file cannot be read or written.
    #[error("cannot use {}: {why}", file.visible())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file cannot be decrypted.
    #[error("cannot read the session in {}: {why}", file.visible())]
    Sealed {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: Unreadable,
    },
    /// The file holds something else.
    #[error("{} contains no session for {url}; `appcred logout --force` removes it", file.visible())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// For which one was looked.
        url: String,
    },
    /// The session cannot be encrypted.
    #[error("cannot keep the session: {0}")]
    Encrypt(#[from] AgeEncryptError),
}

/// The folder of sessions.
#[derive(Clone, Debug)]
pub struct SessionStore {
    folder: PathBuf,
}

/// What is encrypted.
#[derive(Serialize, Deserialize)]
struct SessionContent<'a> {
    url: &'a str,
    client_id: &'a str,
    refresh_token: &'a str,
}

impl SessionStore {
    /// Nothing is read or made before it is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file for a session at this address.
    pub fn file(&self, url: &str) -> PathBuf {
        self.folder.join(file_name(url))
    }

    /// The session at an address, if there is one.
    ///
    /// # Errors
    /// Where there is one that cannot be read.
    pub fn load(
        &self,
        url: &str,
        resolver: &SecretResolver,
    ) -> Result<Option<LoginSession>, SessionError> {
        let file = self.file(url);
        let sealed = match files::optional(files::read_text(&file, TEXT_LIMIT)) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(None),
            Err(error) => return Err(SessionError::File { file, why: error.to_string() }),
        };
        // A session is a document of ours, and no value for Home Assistant.
        let opened = match resolver.open(sealed.as_bytes()) {
            Ok(opened) => opened,
            Err(why) => return Err(SessionError::Sealed { file, why }),
        };
        match serde_json::from_slice::<SessionContent<'_>>(&opened) {
            Ok(kept) if kept.url == url => Ok(Some(LoginSession {
                url: kept.url.to_owned(),
                client_id: kept.client_id.to_owned(),
                refresh_token: Secret::new(kept.refresh_token),
            })),
            _ => Err(SessionError::Foreign { file, url: url.to_owned() }),
        }
    }

    /// Keeps a session, in the place of one that was there, for those alone who hold an identity of
    /// this resolver.
    ///
    /// # Errors
    /// Where it cannot be encrypted or written.
    pub fn save(
        &self,
        session: &LoginSession,
        resolver: &SecretResolver,
    ) -> Result<PathBuf, SessionError> {
        let kept = SessionContent {
            url: &session.url,
            client_id: &session.client_id,
            refresh_token: session.refresh_token.expose(),
        };
        let file = self.file(&session.url);
        let fault = |why: String| SessionError::File { file: file.clone(), why };
        let text = to_json(&kept).map_err(|error| fault(error.to_string()))?;
        let sealed = seal(&text, resolver.recipients())?;
        files::make_private_folder(&self.folder).map_err(|error| fault(error.to_string()))?;
        files::write_private(&file, sealed.as_bytes()).map_err(|error| fault(error.to_string()))?;
        Ok(file)
    }

    /// Keeps other runs from storing or removing sessions until it is dropped.
    ///
    /// # Errors
    /// Where another run does not end.
    pub fn lock(&self) -> Result<Option<FileLock>, SessionError> {
        let fault = |why: String| SessionError::File { file: self.folder.clone(), why };
        files::make_private_folder(&self.folder).map_err(|error| fault(error.to_string()))?;
        let lock = wait_for(LOCK_TIMEOUT, || false, || FileLock::existing(&self.folder));
        lock.map_err(|refused| fault(refused.to_string()))
    }

    /// Removes the session at an address; whether there was one.
    ///
    /// # Errors
    /// Where there is one that cannot be removed.
    pub fn forget(&self, url: &str) -> Result<bool, SessionError> {
        let file = self.file(url);
        match fs::remove_file(&file) {
            Ok(()) => Ok(true),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let why = files::reason(&file, &error);
                Err(SessionError::File { file, why })
            }
        }
    }
}

/// A name for each address, and no two for one: letters, digits, `.` and `-` as they are, all else
/// by its number.
fn file_name(url: &str) -> String {
    let mut name = String::with_capacity(url.len() + 16);
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            _ => name.push_str(&format!("_{byte:02x}")),
        }
    }
    name + ".age"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::super::LoginSession;
    use super::{SessionStore, file_name};
    use crate::model::Secret;
    use crate::secret::env::IdentitySources;
    use crate::secret::{AllowedPaths, Identities, Nobody, SecretResolver};

    const URL: &str = "http://ha.example:8123";

    fn resolver(name: &str) -> SecretResolver {
        let keys = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/keys");
        let (identities, _) =
            Identities::gather(&[keys.join(name).into()], &IdentitySources::default(), Nobody);
        SecretResolver::new(identities, AllowedPaths::default())
    }

    fn session() -> LoginSession {
        LoginSession {
            url: URL.to_owned(),
            client_id: "http://127.0.0.1:9/appcred".to_owned(),
            refresh_token: Secret::new("hush"),
        }
    }

    #[test]
    fn a_session_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = SessionStore::new(folder.path().join("state/sessions"));
        let ours = resolver("ed25519");
        assert!(store.load(URL, &ours).unwrap().is_none());

        let file = store.save(&session(), &ours).unwrap();

        let found = store.load(URL, &ours).unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.refresh_token.expose()), (URL, "hush"));
        assert_eq!(found.client_id, session().client_id);
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert!(!fs::read_to_string(&file).unwrap().contains("hush"));
        let said = store.load(URL, &SecretResolver::default()).unwrap_err().to_string();
        assert!(said.contains("no age identity was found"), "{said}");
        assert!(store.load(URL, &resolver("rsa")).is_err());

        assert!(store.forget(URL).unwrap());
        assert!(!store.forget(URL).unwrap());
        assert!(store.load(URL, &ours).unwrap().is_none());
    }

    #[test]
    fn a_session_for_another_house_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = SessionStore::new(folder.path().to_owned());
        let ours = resolver("ed25519");
        let file = store.save(&session(), &ours).unwrap();
        fs::rename(file, store.file("http://evil.example")).unwrap();
        let said = store.load("http://evil.example", &ours).unwrap_err().to_string();
        assert!(said.contains("contains no session for http://evil.example"), "{said}");
    }

    #[test]
    fn each_address_has_a_file_of_its_own() {
        assert_eq!(file_name("http://h:1/a_b"), "http_3a_2f_2fh_3a1_2fa_5fb.age");
    }
}
