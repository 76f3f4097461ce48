//! Where a browser arrives that a provider, or Home Assistant's sign-in, sends back. One way for the
//! status page, `authorize` and `login`. It knows [`crate::listener`], [`crate::html`] and [`crate::model`].
//!
//! ```text
//!  answer.rs (what the browser brings) ─▶ consents.rs (pending, handing on, done)
//!                                              │
//!  loopback.rs (a port of this machine) ───────┴──▶ Reply
//! ```

mod answer;
mod consents;
mod loopback;

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::timeout;

use crate::html::{self, Refresh, Tone};
use crate::model::HandOverError;

pub use answer::AuthorizationResponse;
pub use consents::{Consents, is_same_state};
pub use loopback::{Arrival, Delivery, Loopback};

use consents::ConsentLookup;

/// How long a browser waits until its answer is taken; HA asks the provider in its turn.
const TIMEOUT: Duration = Duration::from_secs(30);

const TAKEN: Sentence = Sentence {
    tone: Tone::Ok,
    title: "Accepted",
    text: "Thank you. Home Assistant has accepted it. You can close this page.",
};
const IN_PROGRESS: Sentence = Sentence {
    tone: Tone::Wait,
    title: "One moment",
    text: "appcred has this answer, and hands it to Home Assistant as soon as it can. Leave this page open: it shows the result.",
};
const DONE: Sentence = Sentence {
    tone: Tone::Ok,
    title: "Accepted already",
    text: "This was answered already, and Home Assistant has accepted it. You can close this page.",
};
const DECLINED: Sentence = Sentence {
    tone: Tone::Bad,
    title: "No consent was given",
    text: "Nothing was linked, and Home Assistant knows it. To try again, follow the newest link.",
};
const UNEXPECTED: Sentence = Sentence {
    tone: Tone::Bad,
    title: "Not expected",
    text: "appcred is not waiting for this. If you have just consented, follow the newest link.",
};
const INCOMPLETE: Sentence = Sentence {
    tone: Tone::Bad,
    title: "Incomplete",
    text: "The provider's answer is incomplete. Follow the link again.",
};

/// What a page says whatever the reason.
#[derive(Clone, Copy)]
struct Sentence {
    tone: Tone,
    title: &'static str,
    text: &'static str,
}

/// What the browser is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// How good that is for the person.
    tone: Tone,
    /// The same in a few words.
    title: &'static str,
    /// A sentence for the person.
    pub text: String,
    /// Whether the page loads itself again, and so brings the same answer again.
    pub reloads: bool,
}

impl Reply {
    fn new(status: StatusCode, Sentence { tone, title, text }: Sentence) -> Self {
        Self { status, tone, title, text: text.to_owned(), reloads: false }
    }

    /// The page. Nothing of what the browser brought is in it.
    pub fn page(&self) -> Response {
        let refresh = if self.reloads { Refresh::Always } else { Refresh::Never };
        html::sentence(self.status, (self.title, &self.text), self.tone, refresh)
    }
}

/// Hands an answer on if its consent is pending, and finds what the browser is shown.
///
/// A consent that could not be handed on now is pending again: the browser brings its answer once more.
/// Handing on goes on though the browser leaves; whoever comes back is shown how it ended.
pub async fn take<F>(
    consents: &Consents,
    answer: &AuthorizationResponse,
    is_pending: impl FnOnce(&str) -> bool,
    hand_over: impl FnOnce() -> F,
) -> Reply
where
    F: Future<Output = Result<(), HandOverError>> + Send + 'static,
{
    let Some(state) = &answer.state else {
        return Reply::new(StatusCode::BAD_REQUEST, UNEXPECTED);
    };
    let is_pending = is_pending(state);
    if is_pending && !answer.is_complete() {
        return Reply::new(StatusCode::BAD_REQUEST, INCOMPLETE);
    }
    let is_declined = answer.code.is_none();
    let handing_on = match consents.take(state, is_pending) {
        ConsentLookup::Pending(handing_on) => handing_on,
        ConsentLookup::HandingOn => {
            return Reply { reloads: true, ..Reply::new(StatusCode::CONFLICT, IN_PROGRESS) };
        }
        ConsentLookup::Done(Ok(())) if is_declined => {
            return Reply::new(StatusCode::GONE, DECLINED);
        }
        ConsentLookup::Done(Ok(())) => return Reply::new(StatusCode::GONE, DONE),
        ConsentLookup::Done(Err(why)) => return refused(&why),
        ConsentLookup::Unknown => return Reply::new(StatusCode::BAD_REQUEST, UNEXPECTED),
    };
    let taking = hand_over();
    let taken = tokio::spawn(async move {
        let taken = taking.await;
        match &taken {
            Ok(()) => handing_on.done(Ok(())),
            Err(HandOverError::Refused(why)) => handing_on.done(Err(why.clone())),
            Err(HandOverError::NotNow(_)) => drop(handing_on),
        }
        taken
    });
    match timeout(TIMEOUT, taken).await {
        Ok(Ok(Ok(()))) if is_declined => Reply::new(StatusCode::OK, DECLINED),
        Ok(Ok(Ok(()))) => Reply::new(StatusCode::OK, TAKEN),
        Ok(Ok(Err(HandOverError::Refused(why)))) => refused(&why),
        Ok(Ok(Err(HandOverError::NotNow(why)))) => not_now(&why),
        Ok(Err(_)) => not_now("appcred failed"),
        Err(_) => Reply { reloads: true, ..Reply::new(StatusCode::ACCEPTED, IN_PROGRESS) },
    }
}

fn refused(why: &str) -> Reply {
    let text = format!("Home Assistant refused it: {why}.");
    Reply {
        status: StatusCode::BAD_GATEWAY,
        tone: Tone::Bad,
        title: "Not accepted",
        text,
        reloads: false,
    }
}

fn not_now(why: &str) -> Reply {
    let text = format!("Home Assistant cannot accept it now: {why}. This page will try again.");
    Reply {
        status: StatusCode::SERVICE_UNAVAILABLE,
        tone: Tone::Wait,
        title: "Not accepted yet",
        text,
        reloads: true,
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthorizationResponse, Consents, HandOverError, take};

    async fn status(consents: &Consents, query: &str, result: Result<(), HandOverError>) -> u16 {
        let answer = AuthorizationResponse::read(query);
        let hand_over = || async move { result };
        take(consents, &answer, |state| state == "s", hand_over).await.status.as_u16()
    }

    #[tokio::test]
    async fn an_answer_is_taken_once_and_may_be_brought_again_until_then() {
        let consents = Consents::default();
        let not_now = || Err(HandOverError::NotNow("it answered 503".to_owned()));
        assert_eq!(status(&consents, "", Ok(())).await, 400);
        assert_eq!(status(&consents, "code=c&state=t", Ok(())).await, 400);
        assert_eq!(status(&consents, "state=s", Ok(())).await, 400);
        assert_eq!(status(&consents, "state=s&code=c", not_now()).await, 503);
        assert_eq!(status(&consents, "state=s&code=c", not_now()).await, 503);
        assert_eq!(status(&consents, "state=s&code=c", Ok(())).await, 200);
        assert_eq!(status(&consents, "state=s&code=c", Ok(())).await, 410);
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_done() {
        let consents = Consents::default();
        let refused = Err(HandOverError::Refused("no such flow".to_owned()));
        assert_eq!(status(&consents, "state=s&error=access_denied", refused).await, 502);
        assert_eq!(status(&consents, "state=s&code=c", Ok(())).await, 502, "and not accepted");
    }

    #[tokio::test]
    async fn who_declines_is_not_thanked() {
        let consents = Consents::default();
        let declined = AuthorizationResponse::read("state=s&error=access_denied");
        for status in [200, 410] {
            let reply = take(&consents, &declined, |_| true, || async { Ok(()) }).await;
            assert_eq!((reply.status.as_u16(), reply.title), (status, "No consent was given"));
            assert!(!reply.text.contains("accepted"), "{reply:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_not_thanked_before_it_is_accepted_and_sees_a_late_refusal() {
        let consents = Consents::default();
        let answer = AuthorizationResponse::read("state=s&code=c");
        let (refuse, refused) = tokio::sync::oneshot::channel::<()>();
        let hand_on = || async move {
            drop(refused.await);
            Err(HandOverError::Refused("no such flow".to_owned()))
        };
        let reply = take(&consents, &answer, |_| true, hand_on).await;
        assert!(reply.reloads && !reply.text.contains("Thank you"), "{reply:?}");
        drop(refuse);
        tokio::task::yield_now().await;
        let late = take(&consents, &answer, |_| true, || async { Ok(()) }).await;
        assert!(!late.reloads && late.text.contains("refused it: no such flow"), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_handed_on_though_the_browser_leaves_or_waits_too_long() {
        let consents = Consents::default();
        let answer = AuthorizationResponse::read("state=s&code=c");
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let hand_over = || async move {
            drop(finished.await);
            Ok(())
        };
        let reply = take(&consents, &answer, |_| true, hand_over).await;
        assert_eq!(reply.status.as_u16(), 202);
        assert_eq!(status(&consents, "state=s&code=c", Ok(())).await, 409);
        drop(finish);
        tokio::task::yield_now().await;
        assert_eq!(status(&consents, "state=s&code=c", Ok(())).await, 410);
    }
}
