//! An object as it is stored, of which what cannot be read is an error of that object alone.
//!
//! The API server takes what the definition allows that is in force, which may be another one than ours, and a list is read
//! as a whole: one object that cannot be read would keep all others from being seen.

use std::borrow::Cow;

use kube::Resource;
use kube::core::object::{HasSpec, HasStatus};
use kube::runtime::watcher::Event;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// A spec that may be unreadable.
pub(super) trait MayBeUnreadable {
    /// One that cannot be read, for this reason: nothing is done by it.
    fn unreadable(why: String) -> Self;
}

/// An object of a kind.
#[derive(Clone, Debug)]
pub(super) struct AsStored<K>(K);

impl<'de, K> Deserialize<'de> for AsStored<K>
where
    K: HasSpec<Spec: MayBeUnreadable + Serialize + DeserializeOwned>
        + HasStatus<Status: DeserializeOwned>
        + DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut stored = Json::deserialize(from)?;
        if let Ok(object) = K::deserialize(&stored) {
            return Ok(Self(object));
        }
        let why = why_unreadable::<K::Spec>(&stored["spec"]);
        if let Some(why) = &why {
            let unreadable = K::Spec::unreadable(why.clone());
            stored["spec"] = serde_json::to_value(unreadable).map_err(D::Error::custom)?;
        }
        // One that cannot be read is one that was lost.
        if why_unreadable::<Option<K::Status>>(&stored["status"]).is_some() {
            stored["status"] = Json::Null;
        }
        let mut object = K::deserialize(&stored).map_err(D::Error::custom)?;
        if let Some(why) = why {
            *object.spec_mut() = K::Spec::unreadable(why);
        }
        Ok(Self(object))
    }
}

/// Which part of it cannot be read, and why.
fn why_unreadable<T: DeserializeOwned>(of: &Json) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(of).err()?;
    let why = without_value(&error.inner().to_string());
    Some(match error.path().to_string().as_str() {
        "." => why,
        path => format!("{path}: {why}"),
    })
}

/// serde's message without the value: it may be a secret in the place of its reference.
fn without_value(message: &str) -> String {
    let has_value = ["invalid type: ", "invalid value: ", "unknown variant "];
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if has_value.iter().any(|kind| found.starts_with(kind)) => {
            let is_struct = expected.starts_with("struct ");
            format!("{} is expected", if is_struct { "an object" } else { expected })
        }
        _ => message.to_owned(),
    }
}

/// What has happened, with the objects themselves.
pub(super) fn unwrapped<K>(event: Event<AsStored<K>>) -> Event<K> {
    match event {
        Event::Apply(AsStored(of)) => Event::Apply(of),
        Event::Delete(AsStored(of)) => Event::Delete(of),
        Event::Init => Event::Init,
        Event::InitApply(AsStored(of)) => Event::InitApply(of),
        Event::InitDone => Event::InitDone,
    }
}

impl<K: Resource> Resource for AsStored<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::AsStored;
    use crate::kubernetes::resources::{CredentialObject, InstanceObject};

    fn instance(spec: Json, status: Json) -> InstanceObject {
        let stored: AsStored<InstanceObject> = serde_json::from_value(json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns", "uid": "a", "resourceVersion": "7"},
            "spec": spec,
            "status": status,
        }))
        .unwrap();
        stored.0
    }

    #[test]
    fn what_of_an_object_can_be_read_is_kept_and_what_cannot_is_named() {
        let token = json!({"name": "t", "key": "t"});
        let right = json!({"url": "http://cabin:8123", "tokenSecretRef": token});
        let listed = json!({"observedGeneration": 1, "credentials": [{"name": "a"}]});
        let of = instance(right.clone(), listed.clone());
        assert_eq!((of.spec.unreadable, of.spec.url.as_str()), (None, "http://cabin:8123"));
        let mut wrong = right.clone();
        wrong["maxDeletes"] = json!(3_000_000_000_u64);
        for (spec, why) in [
            (wrong, "maxDeletes: a 32-bit integer is expected"),
            (json!({"url": "http://cabin:8123"}), "missing field `tokenSecretRef`"),
            (json!(null), "an object is expected"),
            (
                json!({"url": "http://cabin:8123", "tokenSecretRef": token, "deletionPolicy": "hush"}),
                "deletionPolicy: `Delete` or `Retain` is expected",
            ),
            (
                json!({"url": "http://cabin:8123", "tokenSecretRef": "hush, expected"}),
                "tokenSecretRef: an object is expected",
            ),
        ] {
            let of = instance(spec, listed.clone());
            assert_eq!(of.spec.unreadable.as_deref(), Some(why));
            assert!(of.spec.suspend, "nothing is done there");
            let status = of.status.unwrap();
            assert!(
                status.is_written() && status.of("a").is_some(),
                "where credentials are stays known"
            );
        }
        let of = instance(right, json!({"credentials": "none"}));
        assert_eq!((of.spec.unreadable, of.status), (None, None));
    }

    #[test]
    fn an_object_without_what_every_one_has_is_refused() {
        let of = json!({"apiVersion": "appcred.io/v1alpha1", "kind": "ApplicationCredential", "metadata": 5});
        serde_json::from_value::<AsStored<CredentialObject>>(of).unwrap_err();
    }
}
