//! Entries: what a manifest is made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use smol_str::SmolStr;

use super::comments;
use super::decode::{Decoder, Site};
use super::lifetime;
use super::plain_text;
use super::project::Project;
use super::reference::{id_fault, secret_fault};
use super::schema::{DateInput, EntryInput, ManifestInput};
use super::tags;
use super::targets::{AskedLabels, ChosenBy, TargetChoice, Targets};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, SourceFile, Span};
use crate::field::{Field, FieldRefusal, Raw};
use crate::integrations;
use crate::model::{
    Adopt, CLIENT_SECRET, CredentialId, Domain, Integration, Key, Place, Reference, is_name,
};
use crate::yaml;

/// Nothing shorter is a secret worth hiding.
const SHORTEST_SECRET: usize = 8;

/// One wanted credential.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The integration.
    pub domain: Located<Domain>,
    /// As HA shows it. Located at the domain where it was left out.
    pub name: Located<SmolStr>,
    /// Stable and unique per owner. Located at the name or the domain where it was left out.
    pub key: Located<Key>,
    /// Keys that it had before.
    pub formerly: BTreeSet<Key>,
    /// The OAuth2 client id.
    pub client_id: Located<Reference>,
    /// The OAuth2 client secret.
    pub client_secret: Located<Reference>,
    /// Whether a credential of this client that was created by hand is taken over.
    pub adopt: Adopt,
    /// Whether its credential is neither deleted nor replaced.
    pub protect: bool,
    /// Whether nothing of it is changed for now.
    pub suspend: bool,
    /// The first day on which the provider does not accept the client.
    pub expires: Option<Located<Date>>,
    /// The first day on which the secret should be replaced.
    pub rotate_after: Option<Located<Date>>,
    /// What to do with the integration itself.
    pub integration: Integration,
    /// Where it is wanted.
    pub targets: Targets,
    /// By what it chooses them.
    pub(super) chosen_by: ChosenBy,
    /// Where the entry begins.
    pub place: Place,
}

/// What one manifest holds.
#[derive(Default)]
pub(super) struct Decoded {
    pub(super) file: Option<Arc<SourceFile>>,
    pub(super) entries: Vec<Arc<Entry>>,
    /// The integrations of entries that have another problem, so that theirs is reported as well.
    pub(super) domains_of_broken: Vec<Located<Domain>>,
    pub(super) problems: Diagnostics,
    /// Whether it is readable, but no document says what its list of entries is: neither entries nor
    /// that there are none.
    pub(super) is_emptied: bool,
}

/// Reads all entries of one manifest.
pub(super) fn decode(file: &Arc<SourceFile>, project: &Project) -> Decoded {
    let parsed = yaml::parse(file.text());
    let mut reader = ManifestReader {
        file,
        decoder: Decoder::new(file, &parsed),
        project,
        entries: Vec::new(),
        domains_of_broken: Vec::new(),
        has_list: false,
    };
    reader.decoder.allow_placeholders.set(project.allow_placeholders);
    for document in &parsed.documents {
        reader.document(Site::top(document));
    }
    let ManifestReader { decoder, entries, domains_of_broken, has_list, .. } = reader;
    let is_emptied = !has_list && !decoder.has_errors();
    if is_emptied {
        let start = Span { line: 1, column: 1, ..Span::default() };
        let problem = Diagnostic::warning(ProblemCode::EmptyManifest, "this manifest has no list of entries")
            .at(file, start)
            .help("write `application_credentials: []` where no entry is wanted, or remove the file; nothing is deleted until then");
        decoder.report(problem);
    }
    let mut problems = decoder.into_problems();
    if !project.allow_plaintext {
        problems.append(plain_text::check(file, &parsed.documents));
    }
    problems.append(comments::check_hidden(file));
    Decoded { file: Some(Arc::clone(file)), entries, domains_of_broken, problems, is_emptied }
}

const OTHER_FILE_HELP: &str = "move it out of the folder of the manifests: `!file PATH#NAME` reads a value of it there; `!secret NAME` reads secrets.yaml and secrets.sops.yaml, which may lie beside manifests";

struct ManifestReader<'n, 'p> {
    file: &'p Arc<SourceFile>,
    decoder: Decoder<'n>,
    project: &'p Project,
    entries: Vec<Arc<Entry>>,
    domains_of_broken: Vec<Located<Domain>>,
    has_list: bool,
}

impl Entry {
    /// The values of labels by which it chooses targets, where it does.
    pub fn asked_labels(&self) -> Option<&AskedLabels> {
        match &self.chosen_by {
            ChosenBy::Labels(asked) => Some(asked),
            ChosenBy::Names | ChosenBy::Patterns(_) => None,
        }
    }

    /// Whether the key is written, not made of the name.
    pub fn names_key(&self) -> bool {
        self.key.spot.span != self.name.spot.span
    }

    /// Its key, and those that it had before.
    pub fn keys(&self) -> impl Iterator<Item = &Key> + Clone {
        std::iter::once(&self.key.value).chain(&self.formerly)
    }

    /// Whether it has or had one of these keys.
    pub fn has_one_of<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> bool {
        keys.into_iter().any(|key| self.keys().any(|of| of == key))
    }
}

const INCLUDED_ENTRIES: &str = "write the entries here, or make that file a manifest, which begins with `application_credentials:` and is in `credentials/` or named under `manifests` in appcred.yaml";

impl<'n> ManifestReader<'n, '_> {
    fn document(&mut self, site: Site<'n>) {
        match &site.node.value {
            yaml::Value::Null | yaml::Value::Invalid => return,
            yaml::Value::Mapping(_) => {}
            yaml::Value::Sequence(_) | yaml::Value::Scalar(_) => {
                let refusal =
                    FieldRefusal::new(ProblemCode::NotAManifest, "is a mapping").of("a manifest");
                return self.decoder.refuse(site, refusal.help(
                    "begin it with `application_credentials:` and put the list of entries under it",
                ));
            }
        }
        if let Some(what) = self.other_file(site) {
            let message = format!("this is {what}, and no manifest");
            let problem = Diagnostic::error(ProblemCode::NotAManifest, message);
            return self.decoder.report(problem.at(self.file, site.start()).help(OTHER_FILE_HELP));
        }
        let manifest = self.decoder.read::<ManifestInput>(site);
        let Some(list) = manifest.and_then(|manifest| manifest.application_credentials) else {
            return;
        };
        let list = self.decoder.site(&list);
        // A file that was cut short ends like this: it does not say that the list is empty.
        if list.is_null() {
            return;
        }
        self.has_list = true;
        if self.is_included(list) {
            return;
        }
        match list.list() {
            Ok(items) => items.for_each(|item| self.item(item)),
            Err(refusal) => self.decoder.refuse(list, refusal),
        }
    }

    /// What a document is that holds secrets and lists no entries.
    fn other_file(&self, site: Site<'n>) -> Option<&'static str> {
        let yaml::Value::Mapping(pairs) = &site.node.value else { return None };
        let is_list = |pair: &yaml::Pair<'_>| {
            pair.key.text == CLIENT_SECRET.section
                || matches!(pair.value.value, yaml::Value::Sequence(_))
        };
        if pairs.iter().any(is_list) {
            None
        } else if self.decoder.sops.is_some() {
            Some("a SOPS document without `application_credentials`")
        } else {
            let name = self.file.path().file_name()?.to_string_lossy().to_lowercase();
            let is_of_secrets = name.split('.').any(|part| {
                part.split(['_', '-']).any(|word| matches!(word, "secret" | "secrets"))
            });
            is_of_secrets.then_some("a file of secrets by its name")
        }
    }

    /// Whether entries are to be read from another file, which is refused.
    fn is_included(&self, site: Site<'n>) -> bool {
        let refusal = tags::included(site.node, INCLUDED_ENTRIES);
        refusal.map(|refusal| self.decoder.refuse(site, refusal)).is_some()
    }

    fn item(&mut self, site: Site<'n>) {
        if self.is_included(site) {
            return;
        }
        let Some(input) = self.decoder.read(site) else { return };
        match self.entry(site, input) {
            Ok(entry) => self.entries.push(Arc::new(entry)),
            Err(domain) => self.domains_of_broken.extend(domain),
        }
    }

    /// The entry, or only its integration where something else is wrong.
    fn entry(&self, site: Site<'n>, input: EntryInput) -> Result<Entry, Option<Located<Domain>>> {
        let decoder = &self.decoder;
        self.check_accounts_are_wanted(&input);
        let domain = decoder.text(input.domain).filter(|domain| self.may_be_integration(domain));
        let of_domain = |domain: &Located<Domain>| Located {
            value: domain.value.as_str().into(),
            spot: domain.spot.clone(),
        };
        let name =
            input.name.map_or_else(|| domain.as_ref().map(of_domain), |name| decoder.text(name));
        let name = name.filter(|name| decoder.is_filled_in("name", &name.value, name.spot.span));
        let key =
            input.key.map_or_else(|| decoder.key_from(name.as_ref()?), |key| decoder.text(key));
        let formerly = input.formerly.map_or(Some(Vec::new()), |keys| decoder.texts(keys));
        let client_id =
            decoder.raw(&input.client_id).and_then(|site| decoder.reference_unless(site, id_fault));
        let client_secret = decoder
            .raw(&input.client_secret)
            .and_then(|site| decoder.secret(site, &self.project.handling(), secret_fault));
        let adopt = input.adopt.map_or(Some(Adopt::No), |field| {
            let site = decoder.raw(&field)?;
            let domain = domain.as_ref().map(|domain| &domain.value);
            decoder.accept(site, adopt(site.node, domain)).map(|adopt| adopt.value)
        });
        let (protect, suspend) = (given(input.protect, false), given(input.suspend, false));
        let date = |field: Option<Field<Raw<DateInput>>>| {
            field.map_or(Some(None), |field| {
                let site = decoder.raw(&field)?;
                decoder.accept(site, lifetime::date(site.node)).map(Some)
            })
        };
        let (expires, rotate_after) = (date(input.expires), date(input.rotate_after));
        let integration = input
            .integration
            .map_or_else(|| Some(Integration::default()), |of| decoder.integration(of.value?));
        let accounts = input.accounts.map_or(Some(Vec::new()), |accounts| {
            decoder.accounts(accounts, domain.as_ref().map(|domain| &domain.value))
        });
        let targets = TargetChoice { decoder, project: self.project }.of(input.targets);
        let whole = || {
            let (targets, chosen_by) = targets?;
            Some(Entry {
                domain: domain.clone()?,
                name: name?,
                key: key?,
                formerly: formerly?.into_iter().map(|key| key.value).collect(),
                client_id: client_id?,
                client_secret: client_secret?,
                adopt: adopt?,
                protect: protect?,
                suspend: suspend?,
                expires: expires?,
                rotate_after: rotate_after?,
                integration: Integration { accounts: accounts?, ..integration? },
                targets,
                chosen_by,
                place: decoder.place(site.start()),
            })
        };
        whole().ok_or(domain)
    }

    /// Accounts that nobody links are a contradiction.
    fn check_accounts_are_wanted(&self, input: &EntryInput) {
        let integration = input.integration.as_ref().and_then(|field| field.value.as_ref());
        let setup = integration.and_then(|integration| integration.setup.as_ref());
        if let (Some(accounts), Some(setup)) =
            (&input.accounts, setup.filter(|setup| setup.value == Some(false)))
        {
            let decoder = &self.decoder;
            let span = decoder.site(setup).span();
            let message =
                "`setup: false` says that no account is linked, and `accounts` names some";
            let problem = decoder.error(ProblemCode::UnfitField, span, message);
            let named = decoder.spot(decoder.site(accounts).key_span());
            let problem = problem.related(named, "the accounts");
            decoder.report(problem.help("remove one of the two"));
        }
    }

    /// Whether a domain is known, or at least has the form of a name. All reports show it.
    fn may_be_integration(&self, domain: &Located<Domain>) -> bool {
        let Located { value, spot } = domain;
        let custom = &self.project.policy.custom_integrations;
        let is_known = integrations::known().contains(value) || custom.contains(value);
        let is_short = value.as_str().len() < SHORTEST_SECRET;
        if is_known || is_short || is_name(value.as_str()) || self.project.lacks_integrations {
            return true;
        }
        let why = "`domain` does not look like the name of an integration, and could be a secret";
        let problem = self.decoder.error(ProblemCode::BadDomain, spot.span, why);
        self.decoder.report(problem.help(
            "name the integration; if it is a custom one, list it under `custom_integrations` in appcred.yaml",
        ));
        false
    }
}

impl<'n> Decoder<'n> {
    fn key_from(&self, name: &Located<SmolStr>) -> Option<Located<Key>> {
        let key = Key::of_name(&name.value);
        if key.is_none() {
            let message = "no key can be made from this name";
            let problem = self.error(ProblemCode::NoKey, name.spot.span, message);
            self.report(problem.help("give the entry a `key` of its own"));
        }
        key.map(|value| Located { value, spot: name.spot.clone() })
    }
}

/// What a field says, or its default where it is left out; `None` where it is wrong.
pub(super) fn given<T>(field: Option<Field<T>>, default: T) -> Option<T> {
    field.map_or(Some(default), |field| field.value)
}

/// Whether, or which one of this integration, an entry takes over. Where the integration is not known,
/// only the form of an id is checked.
fn adopt(node: &yaml::Node<'_>, domain: Option<&Domain>) -> Result<Adopt, FieldRefusal> {
    let refusal = || {
        FieldRefusal::new(
            ProblemCode::WrongKind,
            "must be `true`, `false` or the id of a credential",
        )
    };
    if let Some(tag) = &node.tag {
        return Err(tags::unexpected(tag));
    }
    let adopt = match &node.value {
        yaml::Value::Scalar(scalar) => match scalar.boolean() {
            Some(true) => Some(Adopt::Only),
            Some(false) => Some(Adopt::No),
            None if is_id(&scalar.text) => Some(Adopt::Id(CredentialId::new(&*scalar.text))),
            None => None,
        },
        _ => None,
    };
    match (adopt, domain) {
        (None, _) => Err(refusal().help("`plan` shows the ids")),
        (Some(Adopt::Id(id)), Some(domain)) if !id.as_str().starts_with(&format!("{domain}_")) => {
            let help =
                format!("an id of this integration begins with `{domain}_`, as `plan` shows it");
            Err(refusal().help(help))
        }
        (Some(adopt), _) => Ok(adopt),
    }
}

/// Home Assistant makes an id of the integration, `_` and the client id.
fn is_id(text: &str) -> bool {
    let is_of_ids = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.contains('_') && text.bytes().all(is_of_ids)
}
