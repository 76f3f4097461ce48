//! The resources of a namespace -> what a project declares that wants the same: the way back of conversion.rs. Pure.
//!
//! What no project can say is named, never left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::SelectorExt;
use kube::{Resource, ResourceExt};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::conversion::{ConvertedCredential, ConvertedInstance, TARGET_LABEL};
use super::declared::{ObjectName, is_object_name};
use super::departure::{max_deletes, selector};
use super::resources::{CredentialObject, DeletionPolicy, InstanceObject, SecretKeyRef};
use super::wanted;
use crate::model::{Key, Labels, Secret, TargetName};

/// What is taken for a secret while an entry is checked.
const SOME_SECRET: &str = "b7c1f09e5d2a4836";

/// No key of a Secret is longer.
const LONGEST_KEY: usize = 253;

/// Why one of two is left out.
const SAME_NAME: &str = "there is one of this name before it";

/// A value of a Secret: its name, and the key.
pub type SecretValueName = (String, String);

/// What resources declare, as a project sees it.
#[derive(Clone, Debug, Default)]
pub struct RecoveredProject {
    /// Their namespaces.
    pub namespaces: BTreeSet<String>,
    /// The targets, each with where its token is, and the certificates of its authority.
    pub instances:
        BTreeMap<TargetName, (ConvertedInstance, SecretValueName, Option<SecretValueName>)>,
    /// The entries, each with where its secret is.
    pub credentials: Vec<(ConvertedCredential, SecretValueName)>,
    /// What a project cannot say, in words.
    pub lost: Vec<String>,
    /// What became neither a target nor an entry, in words.
    pub left_out: Vec<String>,
}

/// Reads resources in YAML or JSON: documents, and lists as kubectl prints them.
///
/// # Errors
/// Where the text is neither.
pub fn recovered(text: &str) -> Result<RecoveredProject, String> {
    let mut project = RecoveredProject::default();
    let (mut instances, mut credentials) = (Vec::new(), Vec::<CredentialObject>::new());
    for object in objects(text)? {
        let kind = object["kind"].as_str().unwrap_or("an object without kind").to_owned();
        let name = object["metadata"]["name"].as_str().unwrap_or("without a name");
        let what = format!("{kind} {name}");
        let group = object["apiVersion"].as_str().unwrap_or_default();
        let read = match kind.as_str() {
            "HomeAssistant" if group.starts_with("appcred.io/") => {
                object_of(object).map(|of| instances.push(of))
            }
            "ApplicationCredential" if group.starts_with("appcred.io/") => {
                object_of(object).map(|of| credentials.push(of))
            }
            _ => Err("it is no resource of appcred".to_owned()),
        };
        if let Err(why) = read {
            project.left_out.push(format!("{what}: {why}"));
        }
    }
    // What became no target is chosen by no entry.
    let mut chosen_from = Vec::new();
    for instance in instances {
        match project.add_instance(&instance) {
            Ok(()) => chosen_from.push(instance),
            Err(why) => {
                project.left_out.push(format!("HomeAssistant {}: {why}", instance.name_any()));
            }
        }
    }
    let mut keys = BTreeSet::new();
    for credential in &credentials {
        let name = credential.name_any();
        let added = match keys.insert(name.clone()) {
            true => project.add_credential(credential, &chosen_from),
            false => Err(SAME_NAME.to_owned()),
        };
        if let Err(why) = added {
            project.left_out.push(format!("ApplicationCredential {name}: {why}"));
        }
    }
    Ok(project)
}

/// The objects of all documents, and those of lists.
fn objects(text: &str) -> Result<Vec<Json>, String> {
    let mut all = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let document = Json::deserialize(document).map_err(|why| why.to_string())?;
        match document {
            Json::Null => {}
            Json::Object(mut list) if list.get("items").is_some_and(Json::is_array) => {
                let items = list.remove("items");
                all.extend(items.into_iter().flat_map(|items| match items {
                    Json::Array(items) => items,
                    _ => Vec::new(),
                }));
            }
            object => all.push(object),
        }
    }
    Ok(all)
}

fn object_of<K: Resource + DeserializeOwned>(object: Json) -> Result<K, String> {
    let object: K = serde_json::from_value(object).map_err(|why| why.to_string())?;
    match object.meta().deletion_timestamp {
        Some(_) => Err("it is being deleted".to_owned()),
        None => Ok(object),
    }
}

/// The name of a value. Another one would lead to another file, and is of no Secret.
fn value_name(of: &SecretKeyRef) -> Result<SecretValueName, String> {
    if !is_object_name(&of.name) {
        return Err(format!(
            "no Secret can have the name `{}`: it has small letters, digits, `-` and `.`",
            of.name
        ));
    }
    let is_part = |one: u8| one.is_ascii_alphanumeric() || b"-_.".contains(&one);
    let is_key = (1..=LONGEST_KEY).contains(&of.key.len()) && of.key.bytes().all(is_part);
    if !is_key || [".", ".."].contains(&of.key.as_str()) {
        return Err(format!(
            "no Secret can have the key `{}`: it has letters, digits, `-`, `_` and `.`",
            of.key
        ));
    }
    Ok((of.name.clone(), of.key.clone()))
}

/// The namespace of an object. It is a part of commands that people copy.
fn namespace_of(object: &impl ResourceExt) -> Result<Option<String>, String> {
    match object.namespace() {
        Some(name) if !is_object_name(&name) => Err(format!("there is no namespace `{name}`")),
        name => Ok(name),
    }
}

fn target_of(instance: &InstanceObject) -> TargetName {
    TargetName::new(instance.name_any())
}

/// Whether this may be the name or value of a label in a project.
fn is_project_label(text: &str) -> bool {
    Key::new(text).is_some()
}

impl RecoveredProject {
    fn add_instance(&mut self, object: &InstanceObject) -> Result<(), String> {
        self.namespaces.extend(namespace_of(object)?);
        let (name, spec) = (target_of(object), &object.spec);
        if self.instances.contains_key(&name) {
            return Err(SAME_NAME.to_owned());
        }
        let token = value_name(&spec.token_secret_ref)?;
        let authority = spec.ca_secret_ref.as_ref().map(value_name).transpose()?;
        let max_deletes = max_deletes(spec.max_deletes.as_ref())?;
        let of =
            |label: &str, value: &str| format!("HomeAssistant {name}: the label {label}={value}");
        let mut labels = Labels::new();
        for (label, value) in object.labels() {
            if is_project_label(label) && is_project_label(value) {
                labels.insert(label.as_str().into(), value.as_str().into());
            } else if label != TARGET_LABEL {
                self.lost.push(of(label, value));
            }
        }
        if spec.deletion_policy == DeletionPolicy::Delete {
            self.lost.push(format!("HomeAssistant {name}: deletionPolicy: Delete"));
        }
        let instance = ConvertedInstance {
            url: Some(spec.url.clone()),
            labels,
            suspend: spec.suspend,
            has_authority: spec.ca_secret_ref.is_some(),
            max_deletes,
            lost: Vec::new(),
        };
        self.instances.insert(name, (instance, token, authority));
        Ok(())
    }

    fn add_credential(
        &mut self,
        object: &CredentialObject,
        instances: &[InstanceObject],
    ) -> Result<(), String> {
        self.namespaces.extend(namespace_of(object)?);
        let (name, spec) = (object.name_any(), &object.spec);
        let what = format!("ApplicationCredential {name}");
        let place = ObjectName { namespace: object.namespace().unwrap_or_default(), name };
        let key = Key::new(&place.name).ok_or("its name is no key of an entry")?;
        let secret = Secret::new(SOME_SECRET);
        let wanted = wanted::desired(&place, key, spec, &secret).map_err(|fault| fault.message)?;
        let at = value_name(&spec.client_secret_ref)?;
        let Chosen { labels, targets, is_said } = chosen(&spec.target_selector, instances)?;
        if !is_said {
            self.lost.push(format!(
                "{what}: its targetSelector; the targets that it selects now are named"
            ));
        }
        if spec.max_deletes.is_some() {
            self.lost.push(format!("{what}: maxDeletes"));
        }
        let credential = ConvertedCredential {
            key: wanted.key,
            domain: wanted.domain,
            name: wanted.name,
            client_id: Some(spec.client_id().to_owned()),
            adopt: wanted.adopt,
            protect: spec.protect,
            suspend: spec.suspend,
            is_kept: spec.deletion_policy == DeletionPolicy::Retain,
            integration: wanted.integration,
            labels,
            targets,
            lost: Vec::new(),
        };
        self.credentials.push((credential, at));
        Ok(())
    }
}

/// The targets of an entry.
struct Chosen {
    labels: Option<BTreeMap<SmolStr, BTreeSet<SmolStr>>>,
    targets: Option<BTreeSet<TargetName>>,
    /// Whether what chose them can be said.
    is_said: bool,
}

/// What a selector chooses, and by what.
fn chosen(of: &LabelSelector, instances: &[InstanceObject]) -> Result<Chosen, String> {
    let selects = selector(of)?;
    let labels = of.match_labels.iter().flatten();
    let mut asked: Vec<(&String, BTreeSet<&String>)> =
        labels.map(|(label, value)| (label, BTreeSet::from([value]))).collect();
    let mut is_said = true;
    for expression in of.match_expressions.iter().flatten() {
        is_said &= expression.operator == "In";
        asked.push((&expression.key, expression.values.iter().flatten().collect()));
    }
    if asked.is_empty() {
        return Ok(Chosen { labels: None, targets: None, is_said });
    }
    let selected = instances.iter().filter(|instance| selects.matches(instance.labels()));
    let targets: BTreeSet<TargetName> = selected.map(target_of).collect();
    if targets.is_empty() {
        return Err("its targetSelector selects none of these HomeAssistants".to_owned());
    }
    let targets = Some(targets);
    // Where each has a label with its name, they are chosen by that.
    if let [(label, _)] = asked.as_slice()
        && *label == TARGET_LABEL
    {
        return Ok(Chosen { labels: None, targets, is_said });
    }
    let apart: BTreeSet<&String> = asked.iter().map(|(label, _)| *label).collect();
    let is_plain = asked
        .iter()
        .all(|(label, values)| values.iter().chain([label]).all(|of| is_project_label(of)));
    is_said &= is_plain && apart.len() == asked.len();
    let said = |(label, values): (&String, BTreeSet<&String>)| {
        (label.as_str().into(), values.into_iter().map(|value| value.as_str().into()).collect())
    };
    let labels = is_said.then(|| asked.into_iter().map(said).collect());
    Ok(Chosen { labels, targets, is_said })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use serde_json::json;

    use super::{RecoveredProject, recovered};
    use crate::kubernetes::conversion::tests::client_id;
    use crate::kubernetes::conversion::{ConvertedCredential, ConvertedInstance, resources};
    use crate::model::{
        AccountName, Adopt, Domain, Implementation, Integration, Key, MaxDeletes, OnDelete,
        TargetName,
    };

    fn instances() -> impl Strategy<Value = BTreeMap<TargetName, ConvertedInstance>> {
        let instance = (any::<bool>(), any::<bool>(), 0_u8..4, 0_usize..3).prop_map(
            |(suspend, has_authority, limit, ring)| ConvertedInstance {
                url: Some("http://house:8123".to_owned()),
                labels: [("ring".into(), ring.to_string().into())].into(),
                suspend,
                has_authority,
                max_deletes: match limit {
                    0 => None,
                    1 => Some(MaxDeletes::Percent(20)),
                    count => Some(MaxDeletes::Count(count.into())),
                },
                lost: Vec::new(),
            },
        );
        proptest::collection::btree_map("[a-z]{2,6}".prop_map(TargetName::new), instance, 1..5)
    }

    #[test]
    fn a_name_that_no_secret_and_no_namespace_can_have_is_refused() {
        let of = |namespace: &str, name: &str, key: &str| {
            json!({
                "apiVersion": "appcred.io/v1alpha1", "kind": "HomeAssistant",
                "metadata": {"name": "cabin", "namespace": namespace},
                "spec": {"url": "http://house:8123", "tokenSecretRef": {"name": name, "key": key}},
            })
        };
        for (namespace, name, key, why) in [
            ("ns", "x; touch P; $(touch Q)", "token", "no Secret can have the name"),
            ("ns", "../../x", "token", "no Secret can have the name"),
            ("ns", "x", "k' ; touch P; '", "no Secret can have the key"),
            ("ns", "x", "a/b", "no Secret can have the key"),
            ("ns", "x", "..", "no Secret can have the key"),
            ("$(touch P)", "x", "token", "there is no namespace"),
        ] {
            let project = recovered(&of(namespace, name, key).to_string()).unwrap();
            assert!(project.instances.is_empty() && project.namespaces.len() < 2, "{name} {key}");
            let [left] = project.left_out.as_slice() else { panic!("{:?}", project.left_out) };
            assert!(left.contains(why), "{left}");
        }
        let project = recovered(&of("ns", "x.y-1", "A_b.c-1").to_string()).unwrap();
        assert!(project.left_out.is_empty() && project.instances.len() == 1);
    }

    /// How an entry chooses its targets.
    #[derive(Clone, Debug)]
    enum By {
        All,
        Names(usize),
        Rings(BTreeSet<usize>),
    }

    fn credential() -> impl Strategy<Value = (ConvertedCredential, By)> {
        let by = prop_oneof![
            Just(By::All),
            (1_usize..4).prop_map(By::Names),
            proptest::collection::btree_set(0_usize..3, 1..3).prop_map(By::Rings),
        ];
        let flags = proptest::array::uniform6(any::<bool>());
        let texts = ("[A-Z][a-z ]{0,9}[a-z:]", client_id());
        (by, flags, texts, 0_usize..3).prop_map(|(by, flags, (name, client_id), linked)| {
            let [adopt, protect, suspend, is_kept, setup, more] = flags;
            let account = (setup && more).then(|| AccountName::new("Ann").unwrap());
            let url = more.then(|| "https://provider.example/token".to_owned());
            let implementation =
                [Implementation::Credential, Implementation::Cloud, Implementation::Ask][linked];
            let answers = [("field".to_owned(), json!([more, null, "yes"]))].into();
            let of = ConvertedCredential {
                key: Key::new("family").unwrap(),
                domain: Domain::new("spotify"),
                name: name.into(),
                client_id: Some(client_id),
                adopt: if adopt { Adopt::Only } else { Adopt::No },
                protect,
                suspend,
                is_kept,
                integration: Integration {
                    setup,
                    accounts: account.into_iter().collect(),
                    implementation,
                    answers: [("step".to_owned(), answers)].into(),
                    on_delete: if more { OnDelete::RemoveIntegration } else { OnDelete::Keep },
                    token_url: url.clone(),
                    authorize_url: url,
                },
                labels: None,
                targets: None,
                lost: Vec::new(),
            };
            (of, by)
        })
    }

    /// The same with the targets that it chooses; none where it chooses none.
    fn choosing(
        instances: &BTreeMap<TargetName, ConvertedInstance>,
        (of, by): (ConvertedCredential, By),
    ) -> Option<ConvertedCredential> {
        let targets: BTreeSet<TargetName> = match &by {
            By::All => return Some(of),
            By::Names(count) => instances.keys().take(*count).cloned().collect(),
            By::Rings(rings) => {
                let is_in = |of: &ConvertedInstance| {
                    rings.iter().any(|ring| of.labels["ring"] == ring.to_string())
                };
                instances.iter().filter(|(_, of)| is_in(of)).map(|(name, _)| name.clone()).collect()
            }
        };
        let labels = match by {
            By::Rings(rings) => {
                let rings = rings.iter().map(|ring| ring.to_string().into());
                Some([("ring".into(), rings.collect())].into())
            }
            _ => None,
        };
        let is_some = !targets.is_empty();
        is_some.then_some(ConvertedCredential { labels, targets: Some(targets), ..of })
    }

    proptest! {
        #[test]
        fn what_became_resources_is_found_again_in_them(instances in instances(), of in credential()) {
            let all: Vec<ConvertedCredential> = choosing(&instances, of).into_iter().collect();
            let made = resources(&instances, &all, Some("smart-home")).unwrap();
            prop_assert!(made.left_out.is_empty() && made.lost.is_empty(), "{made:?}");
            let found = recovered(&made.yaml).unwrap();
            prop_assert!(found.left_out.is_empty() && found.lost.is_empty(), "{found:?}");
            prop_assert_eq!(found.namespaces, BTreeSet::from(["smart-home".to_owned()]));
            let of_instances = found.instances.iter().map(|(name, (of, ..))| (name.clone(), of.clone()));
            prop_assert_eq!(of_instances.collect::<BTreeMap<_, _>>(), instances);
            let named = found.instances.values().flat_map(|(_, token, ca)| [Some(token), ca.as_ref()]);
            let named = named.flatten().chain(found.credentials.iter().map(|(_, secret)| secret));
            prop_assert_eq!(named.cloned().collect::<BTreeSet<_>>(), made.secrets);
            let of_credentials = found.credentials.into_iter().map(|(of, _)| of);
            prop_assert_eq!(of_credentials.collect::<Vec<_>>(), all);
        }
    }

    fn object(kind: &str, name: &str, metadata: &str, spec: &str) -> String {
        format!(
            "apiVersion: appcred.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, {metadata}}}\nspec: {{{spec}}}\n---\n"
        )
    }

    const INSTANCE: &str = "url: \"http://house:8123\", tokenSecretRef: {name: t, key: k}";
    const CREDENTIAL: &str =
        "domain: spotify, clientId: a, clientSecretRef: {name: s, key: k}, targetSelector: ";

    fn left_and_lost(text: &str) -> (Vec<String>, Vec<String>) {
        let RecoveredProject { left_out, lost, .. } = recovered(text).unwrap();
        (left_out, lost)
    }

    #[test]
    fn entries_choose_from_what_became_targets() {
        let instance = |name: &str, ring: &str, more: &str| {
            object(
                "HomeAssistant",
                name,
                &format!("labels: {{ring: {ring}}}"),
                &format!("{INSTANCE}{more}"),
            )
        };
        let of = |name: &str, ring: &str| {
            let spec = format!("{CREDENTIAL}{{matchLabels: {{ring: {ring}}}}}");
            object("ApplicationCredential", name, "", &spec)
        };
        let all = [
            instance("cabin", "one", ""),
            instance("cabin", "two", ""),
            instance("barn", "three", ", maxDeletes: many"),
            of("a", "one"),
            of("b", "two"),
            of("c", "three"),
            of("a", "one"),
        ];
        let found = recovered(&all.concat()).unwrap();
        assert_eq!(found.instances[&TargetName::new("cabin")].0.labels["ring"], "one");
        let keys: Vec<&str> = found.credentials.iter().map(|(of, _)| of.key.as_str()).collect();
        assert_eq!(keys, ["a"]);
        let expected = [
            "HomeAssistant cabin: there is one of this name before it",
            "HomeAssistant barn: maxDeletes: `many` is neither a number nor a percentage such as 20%",
            "ApplicationCredential b: its targetSelector selects none of these HomeAssistants",
            "ApplicationCredential c: its targetSelector selects none of these HomeAssistants",
            "ApplicationCredential a: there is one of this name before it",
        ];
        assert_eq!(found.left_out, expected);
    }

    #[test]
    fn what_no_project_can_say_is_named() {
        let labels = "labels: {app.kubernetes.io/name: ha, ring: canary}";
        let instance = object(
            "HomeAssistant",
            "cabin",
            labels,
            &format!("{INSTANCE}, deletionPolicy: Delete"),
        );
        let of = |name: &str, metadata: &str, selector: &str| {
            object("ApplicationCredential", name, metadata, &format!("{CREDENTIAL}{selector}"))
        };
        let not = "{matchExpressions: [{key: ring, operator: NotIn, values: [stable]}]}";
        let all = [
            instance,
            of("by-labels", "", "{matchLabels: {ring: canary}}, maxDeletes: 3"),
            of("not-in", "", not),
            of("other", "", "{matchLabels: {app.kubernetes.io/name: ha}}"),
            of("nobody", "", "{matchLabels: {ring: canray}}"),
            of("going", "deletionTimestamp: \"2026-11-28T00:00:00Z\"", "{}"),
            of("bad", "", "{}, integration: {tokenUrl: no}"),
            object("Deployment", "ha", "", ""),
            "kind: List\nitems: [{kind: HomeAssistant, apiVersion: appcred.io/v1alpha1, metadata: {name: broken}, spec: {}}]\n".to_owned(),
        ];
        let (left_out, lost) = left_and_lost(&all.concat());
        let expected = [
            "HomeAssistant cabin: the label app.kubernetes.io/name=ha",
            "HomeAssistant cabin: deletionPolicy: Delete",
            "ApplicationCredential by-labels: maxDeletes",
            "ApplicationCredential not-in: its targetSelector; the targets that it selects now are named",
            "ApplicationCredential other: its targetSelector; the targets that it selects now are named",
        ];
        assert_eq!(lost, expected);
        let begins: Vec<&str> =
            left_out.iter().map(|line| line.split_once(": ").unwrap().0).collect();
        let expected = [
            "ApplicationCredential going",
            "Deployment ha",
            "HomeAssistant broken",
            "ApplicationCredential nobody",
            "ApplicationCredential bad",
        ];
        assert_eq!(begins, expected);
        assert!(recovered("{").is_err());
        let nothing = recovered("# nothing\n").unwrap();
        assert!(nothing.instances.is_empty() && nothing.credentials.is_empty());
    }
}
