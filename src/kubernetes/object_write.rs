//! Writes what is to become of one object to the cluster, with the events about that.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::conditions::{cut, find};
use super::declared::ObjectName;
use super::error;
use super::event_recorders::EventRecorders;
use super::fault::SECRET_MISSING;
use super::finalizer::Finalizer;
use super::object_state;
use super::resources::FINALIZER;
use super::verdict::{ObjectVerdict, Reported};
use crate::target::Fence;

/// The longest note of an event, in bytes.
const LONGEST_NOTE: usize = 1000;

/// What came of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It is done, or there is no such object any more.
    Done,
    /// It was so already, as where the mark was set just now: no watch will bring it.
    Same,
    /// Somebody else has written meanwhile.
    Conflict,
    /// The cluster refuses it.
    Refused(String),
    /// The cluster does not answer.
    NoAnswer(String),
    /// Another replica may act by now, and nothing is sent any more.
    TermIsOver,
}

/// One object, and what is to become of it.
pub(super) struct ObjectWrite<K: Reported> {
    pub(super) client: Client,
    pub(super) recorders: EventRecorders,
    /// Until when this replica may write.
    pub(super) fence: Option<Fence>,
    pub(super) name: ObjectName,
    pub(super) object: Arc<K>,
    pub(super) verdict: ObjectVerdict<K::Status>,
}

impl<K: Reported> ObjectWrite<K> {
    /// Writes its mark where that is to change, and its status otherwise.
    pub(super) async fn run(self) -> Written {
        let Self { object, verdict: ObjectVerdict { finalizer, left, status }, .. } = &self;
        let object = &**object;
        match (finalizer, status) {
            (Finalizer::Stays | Finalizer::Waits(_), Some(status)) => {
                // With the version: what an earlier write has is never put back by one that was long on its way.
                let (uid, version) = (object.uid(), object.resource_version());
                let metadata = json!({"uid": uid, "resourceVersion": version});
                let patch = json!({"metadata": metadata, "status": status});
                let written = self.patch(true, &patch).await;
                if matches!(written, Written::Done) {
                    let before = object.status().map(K::conditions).unwrap_or_default();
                    self.report_change(before, K::conditions(status)).await;
                }
                written
            }
            (Finalizer::Stays | Finalizer::Waits(_), None) => Written::Done,
            (finalizer, _) => {
                let written = self.patch(false, &mark(object, finalizer)).await;
                if let (Written::Done, Finalizer::GiveUp(_)) = (&written, finalizer) {
                    self.report_left(left).await;
                }
                written
            }
        }
    }

    async fn patch(&self, is_status: bool, patch: &serde_json::Value) -> Written {
        // Of the answer only the metadata: one that cannot be read is none.
        let api: Api<PartialObjectMeta<K>> =
            Api::namespaced(self.client.clone(), &self.name.namespace);
        let (name, patch, params) = (&self.name.name, Patch::Merge(patch), PatchParams::default());
        // Of an object that goes with its mark, the answer has the version that it had before.
        let is_last = matches!(self.verdict.finalizer, Finalizer::Remove | Finalizer::GiveUp(_));
        let patched = async {
            match is_status {
                true => api.patch_status(name, &params, &patch).await,
                false => api.patch(name, &params, &patch).await,
            }
        };
        match self.answered(patched).await {
            None => Written::TermIsOver,
            Some(Ok(now))
                if !is_last && now.resource_version() == self.object.resource_version() =>
            {
                Written::Same
            }
            Some(Ok(_)) => Written::Done,
            Some(Err(kube::Error::Api(status))) if status.code == 404 => Written::Done,
            Some(Err(kube::Error::Api(status))) if status.code == 409 => Written::Conflict,
            Some(Err(why @ kube::Error::Api(_))) => Written::Refused(error::in_words(&why)),
            Some(Err(why)) => Written::NoAnswer(error::in_words(&why)),
        }
    }

    /// The answer to a request; none where another replica may act before it comes.
    async fn answered<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Option<kube::Result<T>> {
        let request = error::within(error::REQUEST_TIMEOUT, request);
        let Some(fence) = &self.fence else { return Some(request.await) };
        // The fence is asked before the request is begun, and one that is still being connected must not leave later.
        tokio::select! {
            biased;
            () = fence.ended() => None,
            answer = request => Some(answer),
        }
    }

    async fn report_left(&self, left: &str) {
        let note = format!("what it represents stays in Home Assistant: {left}");
        tracing::warn!("{} {} is deleted, and {note}", K::kind(&()), self.name);
        self.report(EventType::Warning, "Left", note).await;
    }

    /// An event where Ready has another reason or says something else that somebody has changed, and where consent is
    /// required from now on. For how many accounts it still is changes with each that is linked.
    async fn report_change(&self, before: &[Condition], now: &[Condition]) {
        for kind in ["Ready", "ConsentRequired"] {
            let (was, is) = (find(before, kind), find(now, kind));
            let is_news = |is: &&Condition| {
                let says_else = |was| kind == "Ready" && says_else::<K>(was, is, now);
                was.is_none_or(|was| was.reason != is.reason || says_else(was))
            };
            let Some(is) = is.filter(is_news) else { continue };
            if is.reason == "Progressing" {
                continue;
            }
            let type_ = if is.status == "True" || is.reason == object_state::DELETING {
                EventType::Normal
            } else {
                EventType::Warning
            };
            self.report(type_, &is.reason, is.message.clone()).await;
        }
    }

    /// That events cannot be written holds nothing up.
    async fn report(&self, type_: EventType, reason: &str, note: String) {
        let note = cut(note, LONGEST_NOTE);
        let uid = self.object.uid().unwrap_or_default();
        let recorder = self.recorders.of(&uid, reason, &note);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let object = self.object.object_ref(&());
        let published = recorder.publish(&event, &object);
        if let Some(Err(why)) = self.answered(published).await {
            tracing::debug!("cannot write an event: {}", error::in_words(&why));
        }
    }
}

/// Whether one says something else than the other, since somebody has changed something. What is tried again meets one error
/// and then another, and how many Home Assistants are as wanted changes with each of them, which says so itself.
fn says_else<K: Reported>(was: &Condition, is: &Condition, now: &[Condition]) -> bool {
    let is_steady = is.reason == SECRET_MISSING || find(now, "Stalled").is_some();
    was.message != is.message && is_steady && !K::is_count(&is.reason)
}

/// With the version, so that what others write meanwhile is not lost.
fn mark(object: &impl ResourceExt, finalizer: &Finalizer) -> serde_json::Value {
    let mut all = object.finalizers().to_vec();
    all.retain(|one| one != FINALIZER);
    if *finalizer == Finalizer::Add {
        all.push(FINALIZER.to_owned());
    }
    let (uid, version) = (object.uid(), object.resource_version());
    json!({"metadata": {"uid": uid, "resourceVersion": version, "finalizers": all}})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use axum::extract::Request;
    use kube::runtime::events::EventType;
    use kube::{Client, Config};
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::{EventRecorders, ObjectWrite, Reported, Written};
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::finalizer::Finalizer;
    use crate::kubernetes::resources::{CredentialObject, InstanceObject, InstanceStatus};
    use crate::kubernetes::verdict::ObjectVerdict;
    use crate::target::{Fence, uptime};

    #[tokio::test]
    async fn a_replica_that_no_longer_acts_writes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        let token = json!({"name": "all", "key": "token"});
        let spec = json!({"url": "http://cabin:8123", "tokenSecretRef": token});
        let object = Arc::new(InstanceObject::new("cabin", serde_json::from_value(spec).unwrap()));
        let fence = Fence::default();
        let write = |finalizer| ObjectWrite {
            recorders: EventRecorders::new(client.clone()),
            client: client.clone(),
            fence: Some(fence.clone()),
            name: name("cabin"),
            object: Arc::clone(&object),
            verdict: ObjectVerdict {
                finalizer,
                left: String::new(),
                status: Some(InstanceStatus::default()),
            },
        };
        for finalizer in [Finalizer::Stays, Finalizer::Add, Finalizer::Remove] {
            fence.open_until(uptime() + Duration::from_secs(3600));
            let close = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                // The request has left, and its answer is waited for.
                assert_eq!(stream.read_u8().await.unwrap(), b'P');
                fence.close();
                stream.read_to_end(&mut Vec::new()).await.unwrap();
            };
            let (written, ()) = tokio::join!(write(finalizer.clone()).run(), close);
            assert!(matches!(written, Written::TermIsOver), "{written:?}");
            let written = write(finalizer.clone()).run().await;
            assert!(matches!(written, Written::TermIsOver), "{written:?}");
        }
        write(Finalizer::Stays).report(EventType::Normal, "Synced", String::new()).await;
        listener.into_std().unwrap().accept().unwrap_err();
    }

    /// The events that are written where one status comes after another; each is the reason, the message, and whether
    /// nothing goes on before somebody has changed something.
    async fn events<K: Reported>(object: K, said: [(&str, &str, bool); 2]) -> usize
    where
        K::Status: DeserializeOwned,
    {
        let said = said.map(|(reason, message, is_stalled)| (reason, message, is_stalled, None));
        events_of(object, said).await
    }

    /// The same where consent may be required besides, for which there is a message then.
    async fn events_of<K: Reported>(
        object: K,
        said: [(&str, &str, bool, Option<String>); 2],
    ) -> usize
    where
        K::Status: DeserializeOwned,
    {
        let posted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&posted);
        let answer = move |request: Request| {
            let is_event = request.uri().path().contains("/events");
            seen.fetch_add(usize::from(is_event), Ordering::SeqCst);
            std::future::ready(r#"{"metadata": {"resourceVersion": "2"}}"#)
        };
        let client = Client::new(Router::new().fallback(answer), "ns");
        let [before, now] = said.map(|(reason, message, is_stalled, consent)| -> K::Status {
            let condition = |kind: &str, status: &str, reason: &str, message: &str| {
                json!({"type": kind, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": "1970-01-01T00:00:00Z"})
            };
            let other = if is_stalled { "Stalled" } else { "Reconciling" };
            let mut conditions = vec![
                condition("Ready", "False", reason, message),
                condition(other, "True", reason, message),
            ];
            let kind = "ConsentRequired";
            conditions.extend(consent.map(|consent| condition(kind, "True", kind, &consent)));
            serde_json::from_value(json!({"conditions": conditions})).unwrap()
        });
        let mut object = object;
        *object.status_mut() = Some(before);
        let write = ObjectWrite {
            recorders: EventRecorders::new(client.clone()),
            client,
            fence: None,
            name: name("cabin"),
            object: Arc::new(object),
            verdict: ObjectVerdict {
                finalizer: Finalizer::Stays,
                left: String::new(),
                status: Some(now),
            },
        };
        assert!(matches!(write.run().await, Written::Done));
        posted.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn what_stays_so_for_another_cause_is_an_event_and_what_changes_by_itself_is_none() {
        let token = json!({"name": "all", "key": "token"});
        let spec = json!({"url": "http://cabin:8123", "tokenSecretRef": token});
        let spec = serde_json::from_value(spec).unwrap();
        let instance = InstanceObject::new("cabin", spec);
        let secret = json!({"name": "all", "key": "spotify"});
        let spec = json!({"domain": "spotify", "clientId": "a", "clientSecretRef": secret,
            "targetSelector": {}});
        let credential = CredentialObject::new("a", serde_json::from_value(spec).unwrap());
        for (reason, messages, is_stalled, of_instance, of_credential) in [
            ("SameAddress", ["fjord has it", "fjord has it"], true, 0, 0),
            ("SameAddress", ["fjord has it", "barn has it"], true, 1, 1),
            ("SecretMissing", ["there is no a", "there is no b"], false, 1, 1),
            ("Withheld", ["delete a: it is protected", "delete b: it is protected"], true, 1, 1),
            ("Unreachable", ["connection refused", "no answer within 10 s"], false, 0, 0),
            ("Failed", ["8 of 10 as wanted; a: no", "9 of 10 as wanted; a: no"], false, 0, 0),
            ("Failed", ["something else undoes that", "it is newer"], true, 1, 0),
        ] {
            let said = messages.map(|message| (reason, message, is_stalled));
            assert_eq!(events(instance.clone(), said).await, of_instance, "{reason}: {messages:?}");
            assert_eq!(events(credential.clone(), said).await, of_credential, "{messages:?}");
        }
        let said = [("Unreachable", "no", false), ("AccessDenied", "no", true)];
        assert_eq!(events(instance.clone(), said).await, 1);
        let linking = |count: usize| {
            let consent = format!("an account is to be linked on {count} Home Assistants");
            ("SameAddress", "fjord has it", true, Some(consent))
        };
        assert_eq!(events_of(instance, [linking(500), linking(499)]).await, 0);
        let asked = [("SameAddress", "fjord has it", true, None), linking(500)];
        assert_eq!(events_of(credential.clone(), asked).await, 1);
        assert_eq!(events_of(credential, [linking(500), linking(499)]).await, 0);
    }
}
