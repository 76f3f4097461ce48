//! What a project declares -> the resources that declare the same, as YAML for `kubectl apply`, without any secret. Pure.
//!
//! What no resource can say is named, never left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::declared::is_object_name;
use super::resources::{
    AccountFate, CredentialObject, CredentialSpec, DeletionPolicy, InstanceObject, InstanceSpec,
    IntegrationSpec, LinkedThrough, SecretKeyRef,
};
use crate::model::{
    Adopt, Domain, Implementation, Integration, Key, Labels, MaxDeletes, OnDelete, TargetName,
};

/// A label with the name of a target, where credentials choose by names.
pub(super) const TARGET_LABEL: &str = "appcred.io/target";
/// The longest value of a label.
const LONGEST_LABEL: usize = 63;

/// A target, as far as a HomeAssistant can be it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvertedInstance {
    /// Its address; none where it does not run.
    pub url: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// Whether nothing is changed there for now.
    pub suspend: bool,
    /// Whether it trusts authorities of its own.
    pub has_authority: bool,
    /// How many credentials may be deleted there at once.
    pub max_deletes: Option<MaxDeletes>,
    /// What else is said of it.
    pub lost: Vec<&'static str>,
}

/// An entry, as far as an ApplicationCredential can be it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertedCredential {
    /// Its key.
    pub key: Key,
    /// Its integration.
    pub domain: Domain,
    /// What Home Assistant shows.
    pub name: SmolStr,
    /// Its client id; none where that is a secret.
    pub client_id: Option<String>,
    /// Whether a credential made by hand is taken over.
    pub adopt: Adopt,
    /// Whether its credential is neither deleted nor replaced.
    pub protect: bool,
    /// Whether nothing of it is changed for now.
    pub suspend: bool,
    /// Whether its credential stays when it is no longer declared.
    pub is_kept: bool,
    /// What becomes of the integration.
    pub integration: Integration,
    /// The values of labels by which it chooses targets, where it does.
    pub labels: Option<BTreeMap<SmolStr, BTreeSet<SmolStr>>>,
    /// The targets that it is for; all where there is none.
    pub targets: Option<BTreeSet<TargetName>>,
    /// What else is said of it.
    pub lost: Vec<&'static str>,
}

/// Resources, and what they do not say.
#[derive(Clone, Debug, Default)]
pub struct ConvertedProject {
    /// The resources.
    pub yaml: String,
    /// The Secrets that they name and that somebody must make, each with its key.
    pub secrets: BTreeSet<(String, String)>,
    /// What a resource cannot say, in words.
    pub lost: Vec<String>,
    /// What became no resource, in words.
    pub left_out: Vec<String>,
}

/// Makes the resources of a project.
///
/// # Errors
/// None in practice: they can be written.
pub fn resources(
    instances: &BTreeMap<TargetName, ConvertedInstance>,
    credentials: &[ConvertedCredential],
    namespace: Option<&str>,
) -> anyhow::Result<ConvertedProject> {
    let mut made = ConvertedProject::default();
    let (mut texts, mut taken) = (Vec::new(), BTreeSet::new());
    for (name, instance) in instances {
        match instance_object(name, instance, &mut made) {
            Ok(object) => {
                taken.insert(name.clone());
                texts.push((object, &instance.lost, format!("target {name}")));
            }
            Err(why) => made.left_out.push(format!("target {name}: {why}")),
        }
    }
    let mut documents = Vec::new();
    let mut by_name = false;
    let mut credential_documents = Vec::new();
    for of in credentials {
        let what = format!("entry {}", of.key);
        let object = selector(of, &taken).and_then(|selector| {
            by_name |= selector.match_expressions.iter().flatten().any(|of| of.key == TARGET_LABEL);
            credential_object(of, selector)
        });
        match object {
            Ok(object) => {
                let secret = &object.spec.client_secret_ref;
                made.secrets.insert((secret.name.clone(), secret.key.clone()));
                credential_documents.push(document(object, |object| &object.spec, namespace)?);
                made.lost.extend(lost(&what, &of.lost));
                made.lost.extend(strange_label(of).map(|label| {
                    format!("{what}: the label `{label}` in `match`, which Kubernetes does not allow; the targets that it selects now are listed instead")
                }));
            }
            Err(why) => made.left_out.push(format!("{what}: {why}")),
        }
    }
    for (mut object, unsaid, what) in texts {
        if by_name {
            let name = object.name_any();
            object.labels_mut().insert(TARGET_LABEL.to_owned(), name);
        }
        documents.push(document(object, |object| &object.spec, namespace)?);
        made.lost.extend(lost(&what, unsaid));
    }
    documents.append(&mut credential_documents);
    made.yaml = documents.join("---\n");
    Ok(made)
}

fn lost(what: &str, fields: &[&str]) -> Option<String> {
    (!fields.is_empty()).then(|| format!("{what}: {}", fields.join(", ")))
}

fn instance_object(
    name: &TargetName,
    instance: &ConvertedInstance,
    made: &mut ConvertedProject,
) -> Result<InstanceObject, String> {
    let url = instance.url.clone().ok_or("it is no running Home Assistant")?;
    object_name(name.as_str(), "rename the target")?;
    let secret = |name: String, key: &str| SecretKeyRef { name, key: key.to_owned() };
    let token = secret(format!("{name}-homeassistant-api-token"), "token");
    let authority = instance.has_authority.then(|| secret(format!("{name}-ca"), "ca.pem"));
    let named = std::iter::once(&token).chain(&authority);
    made.secrets.extend(named.map(|of| (of.name.clone(), of.key.clone())));
    let spec = InstanceSpec {
        url,
        token_secret_ref: token,
        ca_secret_ref: authority,
        suspend: instance.suspend,
        deletion_policy: DeletionPolicy::Retain,
        max_deletes: instance.max_deletes.map(limit),
        unreadable: None,
    };
    let mut object = InstanceObject::new(name.as_str(), spec);
    let labels = labels_of(instance);
    for (label, value) in &instance.labels {
        if !labels.contains_key(label) {
            made.lost.push(format!(
                "target {name}: the label `{label}={value}`, which Kubernetes does not allow"
            ));
        }
    }
    if !labels.is_empty() {
        let labels = labels.iter().map(|(label, value)| (label.to_string(), value.to_string()));
        object.metadata.labels = Some(labels.collect());
    }
    Ok(object)
}

fn limit(of: MaxDeletes) -> IntOrString {
    match of {
        MaxDeletes::Count(count) => i32::try_from(count)
            .map_or_else(|_| IntOrString::String(count.to_string()), IntOrString::Int),
        MaxDeletes::Percent(_) => IntOrString::String(of.to_string()),
    }
}

/// The labels that a cluster takes.
fn labels_of(instance: &ConvertedInstance) -> Labels {
    let labels = instance.labels.iter().filter(|(label, value)| is_label(label) && is_label(value));
    labels.map(|(label, value)| (label.clone(), value.clone())).collect()
}

/// Whether this may be the name or value of a label in a cluster.
fn is_label(text: &str) -> bool {
    let is_end = |end: Option<char>| end.is_some_and(|end| end.is_ascii_alphanumeric());
    let is_part = |part: char| part.is_ascii_alphanumeric() || "-_.".contains(part);
    text.len() <= LONGEST_LABEL
        && is_end(text.chars().next())
        && is_end(text.chars().last())
        && text.chars().all(is_part)
}

/// Refuses what cannot be the name of an object.
fn object_name(name: &str, how: &str) -> Result<(), String> {
    if name.len() <= LONGEST_LABEL && is_object_name(name) {
        return Ok(());
    }
    Err(format!(
        "a resource cannot have this name, which has small letters, digits, `-` and `.`, at most {LONGEST_LABEL} of them: {how}"
    ))
}

/// A label by which an entry chooses targets, and which Kubernetes does not allow.
fn strange_label(of: &ConvertedCredential) -> Option<String> {
    let all = of.labels.iter().flatten();
    let mut each = all.flat_map(|(label, values)| values.iter().map(move |value| (label, value)));
    let strange = each.find(|(label, value)| !is_label(label) || !is_label(value))?;
    Some(format!("{}={}", strange.0, strange.1))
}

/// What chooses the same Home Assistants.
fn selector(
    of: &ConvertedCredential,
    instances: &BTreeSet<TargetName>,
) -> Result<LabelSelector, String> {
    let one_of = |key: &str, values: Vec<String>| LabelSelectorRequirement {
        key: key.to_owned(),
        operator: "In".to_owned(),
        values: Some(values),
    };
    let by =
        |expressions| LabelSelector { match_expressions: Some(expressions), match_labels: None };
    let Some(targets) = &of.targets else { return Ok(LabelSelector::default()) };
    let names: Vec<String> =
        targets.iter().filter(|name| instances.contains(*name)).map(ToString::to_string).collect();
    if names.is_empty() {
        return Err("none of its targets became a resource".to_owned());
    }
    let Some(labels) = of.labels.as_ref().filter(|_| strange_label(of).is_none()) else {
        return Ok(by(vec![one_of(TARGET_LABEL, names)]));
    };
    if labels.values().all(|values| values.len() == 1) {
        let labels = labels.iter().flat_map(|(label, values)| {
            values.iter().map(|value| (label.to_string(), value.to_string()))
        });
        return Ok(LabelSelector { match_labels: Some(labels.collect()), match_expressions: None });
    }
    let expressions = labels
        .iter()
        .map(|(label, values)| one_of(label, values.iter().map(ToString::to_string).collect()));
    Ok(by(expressions.collect()))
}

fn credential_object(
    of: &ConvertedCredential,
    target_selector: LabelSelector,
) -> Result<CredentialObject, String> {
    let key = of.key.as_str();
    object_name(key, "`appcred rename` gives the entry another key")?;
    let client_id = of.client_id.clone().ok_or(
        "its client_id is encrypted or elsewhere, and a resource has it in plain text: write it into the entry",
    )?;
    let adopt = match of.adopt {
        Adopt::No => false,
        Adopt::Only => true,
        Adopt::Id(_) => {
            return Err(
                "`adopt` names one of several credentials: apply the entry before".to_owned()
            );
        }
    };
    let Integration {
        setup,
        accounts,
        implementation,
        answers,
        on_delete,
        token_url,
        authorize_url,
    } = of.integration.clone();
    let is_named = of.name != of.domain.as_str();
    let spec = CredentialSpec {
        domain: of.domain.as_str().to_owned(),
        name: is_named.then(|| of.name.to_string()),
        client_id,
        client_secret_ref: SecretKeyRef { name: key.to_owned(), key: "client_secret".to_owned() },
        target_selector,
        adopt,
        protect: of.protect,
        suspend: of.suspend,
        deletion_policy: if of.is_kept { DeletionPolicy::Retain } else { DeletionPolicy::Delete },
        max_deletes: None,
        accounts: accounts.iter().map(|name| name.as_str().to_owned()).collect(),
        integration: IntegrationSpec {
            setup,
            implementation: match implementation {
                Implementation::Credential => LinkedThrough::Credential,
                Implementation::Cloud => LinkedThrough::Cloud,
                Implementation::Ask => LinkedThrough::Ask,
            },
            answers,
            on_delete: match on_delete {
                OnDelete::Keep => AccountFate::Keep,
                OnDelete::RemoveIntegration => AccountFate::RemoveIntegration,
            },
            token_url,
            authorize_url,
        },
        unreadable: None,
    };
    Ok(CredentialObject::new(key, spec))
}

/// An object as YAML, without what is so anyway.
fn document<K, S>(
    mut object: K,
    spec: impl Fn(&K) -> &S,
    namespace: Option<&str>,
) -> anyhow::Result<String>
where
    K: Resource + Serialize,
    S: Serialize + DeserializeOwned + PartialEq,
{
    object.meta_mut().namespace = namespace.map(str::to_owned);
    let least = least(spec(&object))?;
    let mut object = serde_json::to_value(object)?;
    object["spec"] = least;
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    Ok(serde_yaml::to_string(&object)?)
}

/// The fewest fields that are read as this.
fn least<S: Serialize + DeserializeOwned + PartialEq>(spec: &S) -> anyhow::Result<Json> {
    let mut least = serde_json::to_value(spec)?;
    let is_read =
        |json: &Json| serde_json::from_value::<S>(json.clone()).is_ok_and(|read| read == *spec);
    let fields: Vec<String> =
        least.as_object().into_iter().flat_map(|of| of.keys().cloned()).collect();
    for field in fields {
        let mut less = least.clone();
        less.as_object_mut().and_then(|of| of.remove(&field));
        if is_read(&less) {
            least = less;
            continue;
        }
        let inner = least[&field].as_object().into_iter().flat_map(|of| of.keys().cloned());
        for inner in inner.collect::<Vec<_>>() {
            let mut less = least.clone();
            less[&field].as_object_mut().and_then(|of| of.remove(&inner));
            if is_read(&less) {
                least = less;
            }
        }
    }
    Ok(least)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use serde::Deserialize as _;
    use serde_json::{Value as Json, json};

    use super::{ConvertedCredential, ConvertedInstance, ConvertedProject, resources};
    use crate::kubernetes::declared::ObjectName;
    use crate::kubernetes::departure::selector;
    use crate::kubernetes::resources::{CredentialObject, InstanceObject};
    use crate::kubernetes::wanted;
    use crate::model::{
        AccountName, Adopt, ClientPart, CredentialId, Domain, Implementation, Integration, Key,
        MaxDeletes, OnDelete, Secret, TargetName, client_fault,
    };

    fn target(name: &str) -> TargetName {
        TargetName::new(name)
    }

    fn instance(labels: &[(&str, &str)]) -> ConvertedInstance {
        let labels = labels.iter().map(|(label, value)| ((*label).into(), (*value).into()));
        ConvertedInstance {
            url: Some("http://house:8123".to_owned()),
            labels: labels.collect(),
            ..ConvertedInstance::default()
        }
    }

    fn credential(key: &str) -> ConvertedCredential {
        ConvertedCredential {
            key: Key::new(key).unwrap(),
            domain: Domain::new("spotify"),
            name: "Spotify".into(),
            client_id: Some("a".to_owned()),
            adopt: Adopt::No,
            protect: false,
            suspend: false,
            is_kept: false,
            integration: Integration::default(),
            labels: None,
            targets: None,
            lost: Vec::new(),
        }
    }

    fn convert(
        instances: &[(&str, ConvertedInstance)],
        credentials: &[ConvertedCredential],
    ) -> ConvertedProject {
        let instances =
            instances.iter().map(|(name, instance)| (target(name), instance.clone())).collect();
        resources(&instances, credentials, None).unwrap()
    }

    /// The objects of these documents.
    fn read(yaml: &str) -> (Vec<InstanceObject>, Vec<CredentialObject>) {
        let documents = serde_yaml::Deserializer::from_str(yaml);
        let (mut instances, mut credentials) = (Vec::new(), Vec::new());
        for document in documents.map(|of| Json::deserialize(of).unwrap()) {
            match document["kind"].as_str().unwrap() {
                "HomeAssistant" => instances.push(serde_json::from_value(document).unwrap()),
                _ => credentials.push(serde_json::from_value(document).unwrap()),
            }
        }
        (instances, credentials)
    }

    /// A client id that is refused nowhere: `id-put` is taken for a placeholder.
    pub(in crate::kubernetes) fn client_id() -> impl Strategy<Value = String> {
        let is_right = |id: &String| client_fault(id, ClientPart::Id, false).is_none();
        "id-[a-z0-9]{2,9}".prop_filter("it is no client id", is_right)
    }

    proptest! {
        #[test]
        fn what_an_entry_wants_is_what_its_resource_wants(
            (name, client_id, adopt) in ("[A-Z][a-z ]{0,9}[a-z:]", client_id(), any::<bool>()),
            (setup, cloud, removes) in (any::<bool>(), 0_usize..3, any::<bool>()),
            (accounts, url) in (proptest::collection::btree_set("[a-z]{1,5}", 0..3), any::<bool>()),
            answer in prop_oneof![Just(json!(1)), Just(json!("yes: no")), Just(json!([true, null]))],
        ) {
            let accounts = accounts.iter().filter(|_| setup);
            let url = url.then(|| "https://provider.example/token".to_owned());
            let integration = Integration {
                setup,
                accounts: accounts.map(|name| AccountName::new(name).unwrap()).collect(),
                implementation: [Implementation::Credential, Implementation::Cloud, Implementation::Ask][cloud],
                answers: BTreeMap::from([("step".to_owned(), BTreeMap::from([("field".to_owned(), answer)]))]),
                on_delete: if removes { OnDelete::RemoveIntegration } else { OnDelete::Keep },
                token_url: url.clone(),
                authorize_url: url,
            };
            let of = ConvertedCredential {
                name: name.into(),
                client_id: Some(client_id),
                adopt: if adopt { Adopt::Only } else { Adopt::No },
                integration,
                ..credential("family")
            };
            let made = convert(&[("cabin", instance(&[]))], std::slice::from_ref(&of));
            prop_assert!(made.left_out.is_empty() && made.lost.is_empty(), "{made:?}");
            let object = read(&made.yaml).1.remove(0);
            let place = ObjectName { namespace: "ns".to_owned(), name: "family".to_owned() };
            let secret = Secret::new("m4rk3d-secret");
            let read = wanted::desired(&place, of.key.clone(), &object.spec, &secret).unwrap();
            prop_assert_eq!(&read.name, &of.name);
            prop_assert_eq!(read.client_id.as_str(), of.client_id.as_deref().unwrap());
            prop_assert_eq!((read.domain, read.adopt, read.integration), (of.domain, of.adopt, of.integration));
        }
    }

    #[test]
    fn the_same_instances_are_chosen() {
        let names = |names: &[&str]| names.iter().map(|name| target(name)).collect::<BTreeSet<_>>();
        let instances = [
            ("cabin", instance(&[("ring", "1"), ("site", "oslo")])),
            ("garage", instance(&[("ring", "2")])),
            ("shed", instance(&[("ring", "3"), ("_a", "none")])),
        ];
        let labelled = |key, values: &[&str], chosen: &[&str]| {
            let values = values.iter().map(|value| (*value).into()).collect();
            ConvertedCredential {
                labels: Some(BTreeMap::from([("ring".into(), values)])),
                targets: Some(names(chosen)),
                ..credential(key)
            }
        };
        let all = [
            credential("all"),
            labelled("one", &["1"], &["cabin"]),
            labelled("two", &["1", "2"], &["cabin", "garage"]),
            ConvertedCredential { targets: Some(names(&["shed", "cabin"])), ..credential("named") },
            labelled("strange", &["1", "_2"], &["cabin"]),
        ];
        let made = convert(&instances, &all);
        let lost = [
            "target shed: the label `_a=none`, which Kubernetes does not allow",
            "entry strange: the label `ring=_2` in `match`, which Kubernetes does not allow; the targets that it selects now are listed instead",
        ];
        assert_eq!(made.lost, lost);
        let (instances, credentials) = read(&made.yaml);
        for (of, object) in all.iter().zip(credentials) {
            let selector = selector(&object.spec.target_selector).unwrap();
            for instance in &instances {
                let labels = instance.metadata.labels.clone().unwrap_or_default();
                let is_chosen = kube::core::SelectorExt::matches(&selector, &labels);
                let name = target(instance.metadata.name.as_ref().unwrap());
                let expected = of.targets.as_ref().is_none_or(|names| names.contains(&name));
                assert_eq!(is_chosen, expected, "{} {name}", of.key);
            }
        }
    }

    #[test]
    fn what_cannot_be_carried_over_is_named() {
        let nowhere = ConvertedInstance { url: None, ..instance(&[]) };
        let cabin = ConvertedInstance {
            max_deletes: Some(MaxDeletes::Percent(20)),
            has_authority: true,
            lost: vec!["headers", "proxy"],
            ..instance(&[])
        };
        let all = [
            ConvertedCredential { lost: vec!["formerly"], ..credential("kept") },
            ConvertedCredential { client_id: None, ..credential("hidden") },
            credential("Not_a_name"),
            ConvertedCredential { adopt: Adopt::Id(CredentialId::new("x")), ..credential("by-id") },
            ConvertedCredential {
                targets: Some([target("folder")].into()),
                ..credential("lonely")
            },
        ];
        let made = convert(&[("cabin", cabin), ("folder", nowhere), ("Big", instance(&[]))], &all);
        assert_eq!(made.lost, ["entry kept: formerly", "target cabin: headers, proxy"]);
        let left: Vec<&str> =
            made.left_out.iter().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        let expected = [
            "target Big",
            "target folder",
            "entry hidden",
            "entry Not_a_name",
            "entry by-id",
            "entry lonely",
        ];
        assert_eq!(left, expected);
        let expected = "\
apiVersion: appcred.io/v1alpha1
kind: HomeAssistant
metadata:
  name: cabin
spec:
  url: http://house:8123
  tokenSecretRef:
    name: cabin-homeassistant-api-token
    key: token
  caSecretRef:
    name: cabin-ca
    key: ca.pem
  maxDeletes: 20%
---
apiVersion: appcred.io/v1alpha1
kind: ApplicationCredential
metadata:
  name: kept
spec:
  domain: spotify
  name: Spotify
  clientId: a
  clientSecretRef:
    name: kept
    key: client_secret
  targetSelector: {}
";
        assert_eq!(made.yaml, expected);
        assert_eq!(made.secrets.len(), 3);
    }
}
