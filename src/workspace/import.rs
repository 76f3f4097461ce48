//! Entries for what a target holds: written only where `validate` and `plan` accept them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use super::{Comparison, TargetView};
use crate::desired::{self, check_client};
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::files::FileChange;
use crate::manifest::{self, Entry, Project, SecretFinder};
use crate::model::{
    AccountName, DesiredCredential, Key, KnownSecret, NAME_WITH_SECRET, Observed, PolicyOverrides,
    Prune, Reference, Secret, SecretComparison, TargetName, holds_secret,
};
use crate::plan::{self, ImportPlan, Imported, LeftOut, Scope, WhyLeftOut};
use crate::secret::seal::{AgeEncryptError, seal};
use crate::yaml_edit::{NewEntry, SlotValue, new_manifest};

/// New entries, their secrets encrypted.
pub struct ImportDraft {
    /// The entries, each with the first credential that it is made from.
    pub made: Vec<(Imported, NewEntry)>,
    /// What becomes no entry.
    pub left_out: Vec<LeftOut>,
    /// The secrets of the entries, in their order.
    secrets: Vec<Secret>,
}

/// Why nothing can be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A secret cannot be encrypted.
    #[error(transparent)]
    Encrypt(#[from] AgeEncryptError),
    /// The secrets are too many to be searched for.
    #[error("cannot search for secrets in plain text: {0}")]
    Search(String),
}

/// What several targets hold alike, and becomes one entry.
struct Together {
    imported: Imported,
    secret: Option<Secret>,
    targets: Vec<TargetName>,
}

impl Together {
    /// Whether an entry for one is an entry for the other.
    fn is_alike(&self, other: &Imported, secret: Option<&Secret>) -> bool {
        let Imported { of, name, key, adopt, is_linked, accounts } = &self.imported;
        of.domain == other.of.domain
            && of.client_id == other.of.client_id
            && (name, key, adopt, is_linked, accounts)
                == (&other.name, &other.key, &other.adopt, &other.is_linked, &other.accounts)
            && self.secret.as_ref() == secret
    }
}

/// Puts what targets hold alike together.
fn together(found: Vec<(TargetName, ImportPlan, &Observed)>) -> (Vec<Together>, Vec<LeftOut>) {
    let mut all: Vec<Together> = Vec::new();
    let mut left_out = Vec::new();
    // Of many targets each key is looked for among few.
    let mut by_key: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (target, ImportPlan { entries, left_out: left }, observed) in found {
        left_out.extend(left);
        let held = observed.credentials.iter();
        let secrets: BTreeMap<_, _> = held.map(|held| (&held.id, &held.client_secret)).collect();
        for imported in entries {
            let secret = secrets.get(&imported.of.id).and_then(|secret| secret.clear()).cloned();
            let same = by_key.entry(imported.key.clone()).or_default();
            let alike = same.iter().find(|at| all[**at].is_alike(&imported, secret.as_ref()));
            match alike {
                Some(at) => all[*at].targets.push(target.clone()),
                None => {
                    same.push(all.len());
                    all.push(Together { imported, secret, targets: vec![target.clone()] });
                }
            }
        }
    }
    (all, left_out)
}

/// A manifest with new entries in it, not written yet.
pub struct ManifestDraft {
    /// The file.
    pub path: PathBuf,
    /// None where there is no such file.
    pub before: Option<Zeroizing<String>>,
    /// The new text.
    pub after: String,
    /// Which entries of an import it gets.
    pub entries: Vec<usize>,
}

impl ImportDraft {
    /// Makes entries for what each of these targets holds, one for what several hold alike, that do beside those that
    /// the project has. Where there are no recipients, their secrets are left out.
    ///
    /// # Errors
    /// Where a secret cannot be encrypted, or not be searched for.
    pub fn new(
        found: Vec<(TargetName, ImportPlan, &Observed)>,
        (project, others, files): (&Project, &[Arc<Entry>], &[Arc<SourceFile>]),
        recipients: Option<&[String]>,
    ) -> Result<Self, ImportError> {
        let held: Vec<&Observed> = found.iter().map(|(_, _, observed)| *observed).collect();
        let secrets = held.iter().flat_map(|observed| &observed.credentials);
        let secrets = secrets.filter_map(|held| held.client_secret.clear());
        let finder = SecretFinder::new(secrets).map_err(ImportError::Search)?;
        let (together, mut left_out) = together(found);
        let plain: Vec<NewEntry> = together
            .iter()
            .map(|of| {
                let secret = of.secret.clone().unwrap_or_else(|| Secret::new(""));
                // An entry for all targets names none.
                let is_everywhere = of.targets.len() == project.targets.len().max(1);
                let targets = of.targets.iter().filter(|_| !is_everywhere);
                let targets = targets.map(ToString::to_string).collect();
                new_entry(&of.imported, SlotValue::Plain(secret), targets)
            })
            .collect();
        let refused = refusals(&plain, project, others, files, &finder);
        let (mut made, mut secrets) = (Vec::new(), Vec::new());
        for ((of, entry), why) in together.into_iter().zip(plain).zip(refused) {
            let Together { imported, secret, .. } = of;
            if let Some(why) = why {
                left_out.push(LeftOut { of: imported.of, why: WhyLeftOut::Refused(why) });
            } else if let Some(secret) = secret {
                let client_secret = match recipients {
                    Some(all) => SlotValue::Age(seal(secret.expose().as_bytes(), all)?),
                    None => SlotValue::default(),
                };
                made.push((imported, NewEntry { client_secret, ..entry }));
                secrets.push(secret);
            }
        }
        for LeftOut { of, .. } in &mut left_out {
            if of.name.as_deref().is_some_and(|name| finder.is_in(name)) {
                of.name = Some(NAME_WITH_SECRET.into());
            }
        }
        Ok(Self { made, left_out, secrets })
    }

    /// Entries with their secrets in plain text.
    pub fn unsealed(&self, entries: impl IntoIterator<Item = usize>) -> Vec<NewEntry> {
        let made = entries.into_iter().filter_map(|at| self.made.get(at).zip(self.secrets.get(at)));
        let unsealed = made.map(|((_, entry), secret)| {
            let client_secret = SlotValue::Plain(secret.clone());
            NewEntry { client_secret, ..entry.clone() }
        });
        unsealed.collect()
    }

    /// Plans as if the files were written, and keeps what the new entries need, and those whose import
    /// was begun. Answers the keys of both.
    pub fn declare(
        &self,
        view: &mut TargetView,
        files: &[ManifestDraft],
        project: &Project,
        begun: BTreeSet<Key>,
    ) -> BTreeSet<Key> {
        let Ok(comparison) = &mut view.comparison else { return begun };
        let name = view.name.to_string();
        let is_here = |new: &NewEntry| new.targets.is_empty() || new.targets.contains(&name);
        let here = self.made.iter().enumerate().filter(|(_, (_, new))| is_here(new));
        let here: BTreeMap<&str, usize> =
            here.map(|(at, (_, new))| (new.key.as_str(), at)).collect();
        let mut keys = begun;
        for file in files {
            let (entries, _) = manifest::entries(&file.path, &file.after, project);
            for entry in entries.into_iter().filter(|entry| entry.targets.include(&view.name)) {
                let Some(&at) = here.get(entry.key.value.as_str()) else { continue };
                let secret = KnownSecret::Clear(self.secrets[at].clone());
                let client_id = self.made[at].0.of.client_id.clone();
                comparison.desired.credentials.push(desired::wanted(&entry, client_id, secret));
                keys.insert(entry.key.value.clone());
                view.entries.insert(entry.key.value.clone(), entry);
            }
        }
        let policy = project.policy_at(&view.name).with(&import_policy());
        let whole = plan::plan(&comparison.desired, &comparison.observed, &policy);
        comparison.plan = whole.only_credentials_of(&keys);
        keys
    }
}

/// What an import may do: it deletes nothing.
pub fn import_policy() -> PolicyOverrides {
    PolicyOverrides { prune: Some(Prune::Nothing), ..PolicyOverrides::default() }
}

/// The entry for what was found.
fn new_entry(imported: &Imported, client_secret: SlotValue, targets: Vec<String>) -> NewEntry {
    NewEntry {
        domain: imported.of.domain.as_str().to_owned(),
        name: imported.name.clone(),
        key: imported.key.to_string(),
        client_id: imported.of.client_id.as_str().to_owned(),
        client_secret,
        adopt: imported.adopt.clone(),
        leave_integration: !imported.is_linked,
        expires: None,
        rotate_after: None,
        accounts: imported.accounts.iter().map(|name| name.as_str().to_owned()).collect(),
        targets,
    }
}

/// Why each entry would be refused; none where it would not. Each is checked with its secret, as if that
/// were in the manifest.
fn refusals(
    entries: &[NewEntry],
    project: &Project,
    others: &[Arc<Entry>],
    files: &[Arc<SourceFile>],
    finder: &SecretFinder,
) -> Vec<Option<String>> {
    let mut in_plain = project.clone();
    in_plain.allow_plaintext = true;
    let written: Vec<_> = entries
        .iter()
        .map(|entry| new_manifest(std::slice::from_ref(entry)).map_err(|why| why.to_string()))
        .collect();
    let texts: Vec<String> =
        written.iter().filter_map(|text| text.as_ref().ok().cloned()).collect();
    let mut tried = manifest::try_out(&texts, others, &in_plain).into_iter();
    let mut why = |(text, entry): (Result<String, String>, &NewEntry)| match text {
        Err(why) => Some(why),
        Ok(_) => match (unfit(entry, finder), tried.next()?) {
            (Some(why), _) => Some(why),
            (None, Ok(read)) if is_meant(&read, entry) => {
                let (id, secret) = (Secret::new(&entry.client_id), plain(&entry.client_secret)?);
                let problems = check_client(project, files, read.first()?, &id, secret);
                problems.sorted().first().map(|problem| reason(problem))
            }
            (None, Ok(_)) => Some("it would be read as something else".to_owned()),
            (None, Err(problem)) => Some(reason(&problem)),
        },
    };
    written.into_iter().zip(entries).map(&mut why).collect()
}

fn reason(problem: &Diagnostic) -> String {
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}{help}", problem.message)
}

fn plain(value: &SlotValue) -> Option<&Secret> {
    match value {
        SlotValue::Plain(secret) => Some(secret),
        SlotValue::Age(_) | SlotValue::Default(_) => None,
    }
}

const SPACE_AROUND: &str = "its secret begins or ends with white space, which no entry can have: enter the secret again in Home Assistant";

/// Why an entry would say too much, or something else than what is held; none where it would not.
fn unfit(entry: &NewEntry, finder: &SecretFinder) -> Option<String> {
    if has_space_around(entry) {
        return Some(SPACE_AROUND.to_owned());
    }
    let field = field_with_secret(entry, finder)?;
    Some(format!(
        "its `{field}` would hold a client secret, and everybody may read that: change it in Home Assistant"
    ))
}

fn has_space_around(entry: &NewEntry) -> bool {
    plain(&entry.client_secret).is_some_and(|secret| secret.expose().trim() != secret.expose())
}

/// The field that would hold a secret of this or another entry, which encryption leaves in plain text. A provider may issue
/// one text as the two halves of a client.
fn field_with_secret(entry: &NewEntry, finder: &SecretFinder) -> Option<&'static str> {
    let secret = plain(&entry.client_secret)?;
    let holds = |text: &str| finder.is_in(text) || holds_secret(text, secret.expose());
    let holds_own = |name: &str| name == NAME_WITH_SECRET;
    let fields = [
        ("name", entry.name.as_deref().is_some_and(|name| holds_own(name) || holds(name))),
        ("key", entry.key != entry.domain && holds(&entry.key)),
        ("client_id", entry.client_id != secret.expose() && finder.is_in(&entry.client_id)),
        ("accounts", entry.accounts.iter().any(|account| holds(account))),
    ];
    fields.into_iter().find_map(|(field, holds)| holds.then_some(field))
}

/// Whether what is read is what was to be written.
fn is_meant(read: &[Arc<Entry>], meant: &NewEntry) -> bool {
    let is = |reference: &Reference, text: &str| matches!(reference, Reference::Plain(read) if read.expose() == text);
    let Some(secret) = plain(&meant.client_secret) else { return false };
    matches!(read, [read] if read.domain.value.as_str() == meant.domain
        && read.key.value.as_str() == meant.key
        && read.integration.accounts.iter().map(AccountName::as_str).eq(&meant.accounts)
        && read.name.value == meant.name.as_deref().unwrap_or(&meant.domain)
        && is(&read.client_id.value, &meant.client_id)
        && is(&read.client_secret.value, secret.expose()))
}

impl ManifestDraft {
    /// What is to be written.
    pub fn change(&self) -> FileChange {
        let before = self.before.as_ref().map(|text| Zeroizing::new(text.as_bytes().to_vec()));
        FileChange { path: self.path.clone(), before, after: self.after.clone().into_bytes() }
    }
}

/// What is declared already and still to be taken over.
pub struct DeclaredAlready {
    /// The entries that want what is there.
    pub keys: BTreeSet<Key>,
    /// Why the others are left: an import changes no secret.
    pub left: Vec<String>,
}

/// What a run that was cut short has left to be taken over.
pub fn begun(view: &TargetView, scope: &Scope) -> DeclaredAlready {
    let mut begun = DeclaredAlready { keys: BTreeSet::new(), left: Vec::new() };
    let Ok(Comparison { desired, observed, plan, .. }) = &view.comparison else { return begun };
    let to_be_adopted = plan.to_be_adopted();
    for entry in desired.credentials.iter().filter(|entry| to_be_adopted.contains(&entry.key)) {
        let (key, name) = (&entry.key, &view.name);
        if !scope.domains.is_empty() && !scope.domains.contains(&entry.domain) {
            continue;
        }
        if holds_secret_of(observed, entry) {
            begun.keys.insert(key.clone());
        } else {
            begun.left.push(format!(
                "`{key}` stays as it is in `{name}`, where its secret is another one than in its entry: `appcred apply` puts that of the entry there, `appcred rotate {key}` changes the entry"
            ));
        }
    }
    begun
}

/// Whether all credentials of its client have the secret that the entry wants, as far as that is known.
fn holds_secret_of(observed: &Observed, entry: &DesiredCredential) -> bool {
    let of_client = observed
        .credentials
        .iter()
        .filter(|held| (&held.domain, &held.client_id) == (&entry.domain, &entry.client_id));
    let mut compared = of_client.map(|held| held.client_secret.compare(&entry.client_secret));
    compared.all(|secret| secret != SecretComparison::Different)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use age::secrecy::ExposeSecret;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{ImportDraft, ManifestDraft, import_policy};
    use crate::integrations;
    use crate::manifest::check_domains;
    use crate::model::{Key, TargetSelection};
    use crate::plan::{self, Scope, WhyLeftOut};
    use crate::reconcile;
    use crate::secret::Nobody;
    use crate::target::Stop;
    use crate::workspace::{OnError, TargetView, Workspace};
    use crate::yaml_edit::new_manifest;

    const OURS: &str = "application_credentials:\n  - {domain: withings, key: taken, formerly: [family], client_id: w, client_secret: ww}\n";

    /// A project whose target is a folder that holds these credentials.
    fn project(folder: &std::path::Path, items: &[Value]) -> Workspace {
        let identity = age::x25519::Identity::generate();
        fs::write(folder.join("key"), identity.to_string().expose_secret()).unwrap();
        let project = format!(
            "owner: house\nallow_plaintext: true\ntargets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{}], identities: [key]}}\n",
            identity.to_public()
        );
        fs::write(folder.join("appcred.yaml"), project).unwrap();
        fs::create_dir_all(folder.join("credentials")).unwrap();
        fs::write(folder.join("credentials/ours.yaml"), OURS).unwrap();
        let custom = folder.join("ha/custom_components/from_hacs");
        fs::create_dir_all(&custom).unwrap();
        fs::write(custom.join("application_credentials.py"), "").unwrap();
        fs::create_dir_all(folder.join("ha/.storage")).unwrap();
        let stored = json!({"version": 1, "data": {"items": items}}).to_string();
        fs::write(folder.join("ha/.storage/application_credentials"), stored).unwrap();
        Workspace { folder: folder.to_owned(), ..Workspace::default() }
    }

    async fn view(workspace: &Workspace) -> TargetView {
        let policy = import_policy();
        let evaluated = workspace
            .evaluate(workspace.load(), &TargetSelection::default(), &policy, OnError::Stop, Nobody)
            .await
            .unwrap();
        evaluated.targets.unwrap_or_else(|| panic!("{:?}", evaluated.problems)).pop().unwrap()
    }

    /// Imports all of it, and answers why things were left out.
    async fn import(workspace: &Workspace) -> Vec<WhyLeftOut> {
        let loaded = workspace.load();
        let mut view = view(workspace).await;
        let comparison = view.comparison.as_ref().unwrap();
        let taken = BTreeSet::from([Key::new("taken").unwrap()]);
        let scope = Scope::default();
        let found = plan::import(&comparison.desired, &comparison.observed, &taken, &scope);
        let project = &loaded.project;
        let beside = (project, loaded.entries.as_slice(), loaded.files.as_slice());
        let (observed, recipients) = (&comparison.observed, &project.age.recipients);
        let found = vec![(view.name.clone(), found, observed)];
        let draft = ImportDraft::new(found, beside, Some(recipients)).unwrap();
        let entries: Vec<_> = draft.made.iter().map(|(_, entry)| entry.clone()).collect();
        let file = ManifestDraft {
            path: workspace.folder.join("credentials/found.yaml"),
            before: None,
            after: new_manifest(&entries).unwrap(),
            entries: (0..entries.len()).collect(),
        };
        crate::files::change_all(&[file.change()]).unwrap();
        draft.declare(&mut view, &[file], project, BTreeSet::new());
        let (comparison, target) = (view.comparison.unwrap(), view.target.as_mut().unwrap());
        let (stop, mut progress) = (Stop::new(), |_: usize, _: usize| {});
        let (plan, desired) = (&comparison.plan, &comparison.desired);
        let outcomes = reconcile::apply(plan, desired, target, &stop, &mut progress).await;
        assert!(outcomes.iter().all(|outcome| outcome.outcome.is_well()), "{outcomes:?}");
        draft.left_out.into_iter().map(|left| left.why).collect()
    }

    /// Fails where `validate` refuses what was written, or `plan` has something to do.
    async fn assert_settled(workspace: &Workspace) {
        let loaded = workspace.load();
        assert!(!loaded.problems.has_errors(), "{:?}", loaded.problems);
        let custom = &loaded.project.policy.custom_integrations;
        let unknown = check_domains(loaded.domains(), integrations::known(), custom, "appcred");
        assert!(unknown.is_empty(), "{unknown:?}");
        let plan = view(workspace).await.comparison.unwrap().plan;
        // What the project had before is not of the import.
        let is_new = |action: &plan::Action| action.domain().as_str() != "withings";
        let steps: Vec<_> = plan.steps.iter().filter(|step| is_new(&step.action)).collect();
        assert!(steps.is_empty(), "{steps:?}");
        let errors = plan.withheld.iter().filter(|one| one.is_error() && is_new(&one.action));
        let errors: Vec<_> = errors.collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
        prop::option::weighted(0.9, prop::sample::select(texts))
    }

    const DOMAINS: &[&str] = &["spotify", "twitch", "from_hacs", "no_such"];
    const CLIENTS: &[&str] = &[
        "a",
        "b",
        "w",
        "1234567",
        "0x1f",
        "true",
        "your-client-id",
        "${ID}",
        "",
        " a ",
        "é",
        "a\u{202e}b",
        "a: b",
        "!secret x",
        "# a",
        "-----BEGIN AGE ENCRYPTED FILE-----",
    ];
    const SECRETS: &[&str] = &[
        "s",
        "t",
        "1e3",
        "null",
        "changeme",
        "{{ secret }}",
        "",
        " s ",
        "ü",
        "a\u{200b}b",
        "{\"web\": {\"client_secret\": \"x\"}}",
        "a: b\nc: d",
        "-----BEGIN KEY-----",
        "one\ntwo",
        "ENC[AES256_GCM,data:x,type:str]",
        "!env_var X",
        "-----BEGIN AGE ENCRYPTED FILE-----\nYQ==\n-----END AGE ENCRYPTED FILE-----",
    ];
    const NAMES: &[&str] = &[
        "Family",
        "family",
        "Taken",
        "",
        " ",
        "Fam\u{200b}ily",
        "ENC[AES256_GCM,data:x]",
        "true",
        "# odd: {näme}",
        "two\nlines",
        "spotify",
        "???",
    ];
    const AUTH_DOMAINS: &[&str] = &[
        "spotify",
        "appcred:house:k",
        "appcred:cabin:k",
        "appcred:house:taken",
        "appcred:house:family",
        "appcred:house:k:spotify",
        "i0",
    ];

    fn items() -> impl Strategy<Value = Vec<Value>> {
        let fields = [DOMAINS, CLIENTS, SECRETS, NAMES, AUTH_DOMAINS].map(one_of);
        prop::collection::vec(fields, 0..8).prop_map(|all| {
            let item = |(at, fields): (usize, [Option<&str>; 5])| {
                let [domain, client, secret, name, auth_domain] = fields;
                json!({
                    "id": format!("i{at}"), "domain": domain.unwrap_or("spotify"),
                    "client_id": client.map_or(at.to_string(), str::to_owned), "client_secret": secret,
                    "name": name, "auth_domain": auth_domain.filter(|_| at % 2 == 0),
                })
            };
            all.into_iter().enumerate().map(item).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_imported_is_valid_and_leaves_nothing_to_plan(items in items()) {
            let folder = tempfile::tempdir().unwrap();
            let workspace = project(folder.path(), &items);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                import(&workspace).await;
                assert_settled(&workspace).await;
            });
        }
    }

    #[tokio::test]
    async fn what_would_be_refused_is_left_out_with_the_reason() {
        let item = |id: &str, domain: &str, secret: &str| json!({"id": id, "domain": domain, "client_id": id, "client_secret": secret});
        let folder = tempfile::tempdir().unwrap();
        let items = [
            item("placeholder", "spotify", "changeme"),
            item("lines", "twitch", "one\ntwo"),
            item("hacs", "from_hacs", "s"),
        ];
        let left_out = import(&project(folder.path(), &items)).await;
        let said: Vec<String> = left_out
            .into_iter()
            .map(|why| match why {
                WhyLeftOut::Refused(why) => why,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(said[0].contains("unknown integration `from_hacs`"), "{said:?}");
        assert!(said[0].contains("custom_integrations"), "{said:?}");
        assert!(said[1].contains("placeholder"), "{said:?}");
        assert!(said[2].contains("several lines"), "{said:?}");
    }
}
