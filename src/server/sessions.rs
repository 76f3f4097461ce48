//! Browsers that have logged in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::model::Secret;

/// More end the oldest one.
const MAX_SESSIONS: usize = 64;
/// A session ends after this, whoever uses it.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A fingerprint that is compared in a time that says nothing of either side.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The sessions of this process, the oldest first. They end with it, with the token that began them, and
/// when somebody logs out.
#[derive(Default)]
pub(super) struct Sessions(Mutex<VecDeque<BrowserSession>>);

struct BrowserSession {
    id: Fingerprint,
    token: Fingerprint,
    began: Instant,
}

impl Sessions {
    /// Begins a session with this token, and answers what the browser shows instead of it.
    ///
    /// # Errors
    /// Where the system provides no random bytes.
    pub(super) fn begin(&self, token: Fingerprint) -> Result<Secret, getrandom::Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let id = Secret::new(&BASE64_URL_SAFE_NO_PAD.encode(random));
        let mut sessions = self.lock();
        if sessions.len() >= MAX_SESSIONS {
            sessions.pop_front();
        }
        let session =
            BrowserSession { id: Fingerprint::of(id.expose()), token, began: Instant::now() };
        sessions.push_back(session);
        Ok(id)
    }

    /// Whether this is a session that began with this token.
    pub(super) fn has(&self, id: &str, token: &Fingerprint) -> bool {
        let id = Fingerprint::of(id);
        let mut sessions = self.lock();
        sessions.retain(|it| it.began.elapsed() < LIFETIME && it.token.is_same(token));
        sessions.iter().any(|it| it.id.is_same(&id))
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        let id = Fingerprint::of(id);
        self.lock().retain(|it| !it.id.is_same(&id));
    }

    /// Nothing can panic while this is held, and if so the list would still be whole.
    fn lock(&self) -> MutexGuard<'_, VecDeque<BrowserSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{Fingerprint, LIFETIME, MAX_SESSIONS, Sessions};

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_log_out_another_token_time_and_too_many_others() {
        let sessions = Sessions::default();
        let (token, other) = (Fingerprint::of("token"), Fingerprint::of("other"));
        let begin = || sessions.begin(token).unwrap();
        let (first, second) = (begin(), begin());
        assert!(sessions.has(first.expose(), &token) && !sessions.has("", &token));
        sessions.end(first.expose());
        assert!(!sessions.has(first.expose(), &token) && sessions.has(second.expose(), &token));

        assert!(!sessions.has(second.expose(), &other));
        assert!(!sessions.has(second.expose(), &token), "it does not come back with the token");

        let third = begin();
        advance(LIFETIME).await;
        assert!(!sessions.has(third.expose(), &token));

        let oldest = begin();
        let newest = (0..MAX_SESSIONS).fold(begin(), |_, _| begin());
        assert!(!sessions.has(oldest.expose(), &token) && sessions.has(newest.expose(), &token));
    }
}
