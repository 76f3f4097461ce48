//! Who writes the events of objects. One that says something else is a new one, and one that says the same again is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::time::Instant;

/// For so long what is said again is counted; a recorder itself remembers no longer either.
const COUNTED: Duration = Duration::from_secs(360);

/// What was said last for a reason.
struct LastSaid {
    note: String,
    at: Instant,
    recorder: Recorder,
}

/// A recorder for each reason of an object, by uid, with what it said last: one for all counts all of a reason as the same
/// event, and that keeps its first text.
#[derive(Clone)]
pub(super) struct EventRecorders {
    client: Client,
    last: Arc<Mutex<BTreeMap<(String, String), LastSaid>>>,
}

impl EventRecorders {
    pub(super) fn new(client: Client) -> Self {
        Self { client, last: Arc::default() }
    }

    /// What writes that an object is so.
    pub(super) fn of(&self, uid: &str, reason: &str, note: &str) -> Recorder {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (uid.to_owned(), reason.to_owned());
        let at = Instant::now();
        let before = last.remove(&of).filter(|before| before.note == note);
        let recorder = before.map_or_else(|| self.another(), |before| before.recorder);
        last.insert(of, LastSaid { note: note.to_owned(), at, recorder: recorder.clone() });
        recorder
    }

    fn another(&self) -> Recorder {
        let reporter = Reporter { controller: "appcred".to_owned(), instance: None };
        Recorder::new(self.client.clone(), reporter)
    }

    /// Forgets what was said long ago, or of what is not there any more.
    pub(super) fn retain(&self, uids: &BTreeSet<&str>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|(uid, _), said| uids.contains(uid.as_str()) && said.at.elapsed() < COUNTED);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Request;
    use kube::Client;
    use kube::runtime::events::{Event, EventType};
    use tokio::time::advance;

    use super::{COUNTED, EventRecorders};

    /// Which requests are sent where these are said one after the other, each of an object and a reason.
    #[tokio::test(start_paused = true)]
    async fn what_is_said_again_is_counted_and_what_differs_is_another_event() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let answer = move |request: Request| {
            seen.lock().unwrap().push(request.method().to_string());
            std::future::ready("{}")
        };
        let recorders = EventRecorders::new(Client::new(Router::new().fallback(answer), "ns"));
        let say = async |uid: &str, note: &str| {
            let event = Event {
                type_: EventType::Warning,
                reason: "SameAddress".to_owned(),
                note: Some(note.to_owned()),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            let recorder = recorders.of(uid, &event.reason, note);
            recorder.publish(&event, &Default::default()).await.unwrap();
            recorders.retain(&BTreeSet::from(["a", "b"]));
            sent.lock().unwrap().pop().unwrap()
        };
        assert_eq!(say("a", "fjord has it").await, "POST");
        assert_eq!(say("a", "fjord has it").await, "PATCH");
        assert_eq!(say("b", "fjord has it").await, "POST");
        assert_eq!(say("a", "cabin has it").await, "POST");
        assert_eq!(say("a", "cabin has it").await, "PATCH");
        assert_eq!(say("a", "fjord has it").await, "POST");
        advance(COUNTED).await;
        recorders.retain(&BTreeSet::from(["a", "b"]));
        assert_eq!(say("a", "fjord has it").await, "POST", "that is long ago");
        assert_eq!(say("gone", "fjord has it").await, "POST");
        assert_eq!(say("gone", "fjord has it").await, "POST", "it is not there any more");
    }
}
