//! `add`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dialoguer::Input;
use jiff::civil::Date;
use secrecy::zeroize::Zeroizing;

use crate::codes::ChangeCode;
use crate::desired::check_client;
use crate::diagnostic::{Diagnostics, ProblemCode};
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest::{self, Loaded, Project};
use crate::model::{
    AccountName, Adopt, ClientPart, Domain, Key, Secret, TargetSelection, Visible, client_fault,
    day, hidden_character, holds_secret,
};
use crate::report::changes::MadeChange;
use crate::report::registration::where_to_register;
use crate::secret::seal::seal;
use crate::workspace::Offered;
use crate::yaml_edit::{NewEntry, SlotValue, new_manifest};

use super::chosen_integration::{chosen, domain_called};
use super::client_file::ClientFile;
use super::client_secret::{checked, refuse_problems, secret};
use super::encrypt::refuse;
use super::exit::ExitStatus;
use super::gather::{load, resolver, show, workspace};
use super::locks::lock_project;
use super::new_entries::{recipients_in, with_entries};
use super::{ChangesArgs, Global, candidates, console, environment, interrupt, questions};

/// Add an entry to a manifest, its secret encrypted
///
/// Asks for what is not given: the integration, a name, the client id and the client secret, which is
/// not shown. The entry goes to the end of the manifest's list, and nothing else in the file changes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred add
  appcred add --domain spotify --name \"Spotify (family)\" --client-id 4f5c0a
  appcred add --domain \"Google Calendar\" --from ~/Downloads/client_secret.json
  pass spotify | appcred add --domain spotify --client-id 4f5c0a --secret-stdin")]
pub(super) struct Add {
    /// The integration, by its domain or by the name that Home Assistant shows
    #[arg(long, value_name = "DOMAIN|NAME", add = candidates::known_domains())]
    domain: Option<String>,
    /// What Home Assistant shows; default: the domain
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The entry's own key; default: made from the name
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<Key>,
    /// The OAuth2 client id
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the client secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Take client id and secret from the JSON that the provider's console offers for download
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_id", "secret_stdin"])]
    from: Option<PathBuf>,
    /// Take over the credential of this client that was created by hand
    #[arg(long)]
    adopt: bool,
    /// An account that it links; may be given several times
    #[arg(long = "account", value_name = "NAME", value_parser = account)]
    accounts: Vec<String>,
    /// The day on which the provider stops accepting the client, as in 2027-03-01
    #[arg(long, value_name = "DAY", value_parser = date)]
    expires: Option<Date>,
    /// The day on which the secret should be replaced
    #[arg(long, value_name = "DAY", value_parser = date)]
    rotate_after: Option<Date>,
    /// Only for this target; several with commas between, or given several times
    #[arg(short, long = "target", value_name = "TARGET", value_delimiter = ',', add = candidates::targets())]
    targets: Vec<String>,
    /// Add it to this manifest; else to the only one, or to one named like the integration
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) fn key(text: &str) -> Result<Key, String> {
    Key::new(text).ok_or_else(|| {
        "it consists of letters without accents, digits, `-`, `_` and `.`, at most 100 of them"
            .to_owned()
    })
}

fn date(text: &str) -> Result<Date, String> {
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.ok_or_else(|| "it is not a date such as 2027-03-01".to_owned())
}

fn account(text: &str) -> Result<String, String> {
    let name = AccountName::new(text).map(|name| name.as_str().to_owned());
    name.ok_or_else(|| {
        "it is empty or too long, or has white space around it or a hidden character".to_owned()
    })
}

pub(super) async fn run(
    global: Global,
    mut verb: Add,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let loaded = load(&global);
    verb.domain = verb.domain.map(|domain| domain_called(&domain, &loaded));
    // A target says what is to be registered.
    let offered = workspace(&global)
        .offered(&loaded.project, &TargetSelection::of_names(verb.targets.clone()))
        .await;
    match questions::answered(move || add(&global, &verb, loaded, &offered)).await? {
        // An interrupted question ends before the signal arrives, and leaves its line open.
        Some(Err(error)) if interrupt::is_cause(&error) => interrupt::ended(),
        Some(ended) => ended.map(|added| {
            let status = if added.is_some() { ExitStatus::Success } else { ExitStatus::Failure };
            made.extend(added);
            status
        }),
        None => interrupt::ended(),
    }
}

/// The entry that was added; none where the project is in error, which is shown.
fn add(
    global: &Global,
    verb: &Add,
    loaded: Loaded,
    offered: &Offered,
) -> anyhow::Result<Option<MadeChange>> {
    // What is added corrects these.
    let problems = loaded.problems.without(ProblemCode::NoManifest);
    let problems = problems.without(ProblemCode::EmptyManifest);
    show(&problems);
    if problems.has_errors() {
        console::message("Nothing was added: correct the errors above first.");
        return Ok(None);
    }
    let client = verb.from.as_deref().map(ClientFile::read).transpose()?;
    if let Some(expires) = verb.expires.filter(|until| *until < day(environment::now())) {
        bail!("--expires {expires} is in the past: make a new client at the provider");
    }
    let details = EntryDetails::given_or_asked(verb, client.as_ref(), &loaded, offered)?;
    if let Some(client) = &client {
        client.warn_of_unregistered(offered.redirect_uris.values());
    }
    let file = file(verb, global, &loaded, &details.domain);
    let (resolver, _) = resolver(global, &loaded.project);
    // Encryption is checked before the secret is asked for.
    let recipients = recipients_in(global, &loaded.project, &file, &resolver)?;
    recipients.warn_of_lockout(&resolver);
    let secret = match client {
        Some(client) => checked(&client.client_secret, &loaded.project)?,
        None => {
            let fits = |secret: &str| details.check_secret(&loaded, secret);
            secret(verb.secret_stdin, "--secret-stdin or --from", &loaded.project, fits)?
        }
    };
    let _lock = lock_project(global)?;
    // The project may have changed while the questions were open.
    let loaded = load(global);
    let problems = loaded.problems.without(ProblemCode::NoManifest);
    refuse_problems(&problems.without(ProblemCode::EmptyManifest))?;
    details.check_secret(&loaded, &secret)?;
    let recipients = recipients_in(global, &loaded.project, &file, &resolver)?;
    let sealed = || {
        let sealed = SlotValue::Age(seal(secret.as_bytes(), &recipients.names)?);
        Ok(vec![details.entry(sealed, verb.adopt)])
    };
    let plain = || vec![details.entry(SlotValue::Plain(Secret::new(&secret)), verb.adopt)];
    let draft = with_entries(global, file, &resolver, sealed, plain)?;
    put(&draft.change())?;
    let (key, file) = (&details.key, &draft.path);
    console::say(&format!("Added `{key}` to {}.\n", file.visible()))?;
    recipients.say();
    Ok(Some(MadeChange::new(ChangeCode::EntryAdded).key(key).file(file)))
}

/// Writes a manifest, unless somebody has pressed Ctrl-C.
fn put(change: &FileChange) -> anyhow::Result<()> {
    if interrupt::was_pressed() {
        bail!("interrupted: nothing was added");
    }
    Ok(files::change_all(std::slice::from_ref(change))?)
}

/// What the new entry says, but for its secret.
struct EntryDetails {
    domain: Domain,
    name: Option<String>,
    key: Key,
    client_id: String,
    accounts: Vec<String>,
    expires: Option<Date>,
    rotate_after: Option<Date>,
    targets: Vec<String>,
}

impl EntryDetails {
    /// From the command line, and from questions where something is missing there.
    fn given_or_asked(
        verb: &Add,
        client: Option<&ClientFile>,
        loaded: &Loaded,
        offered: &Offered,
    ) -> anyhow::Result<Self> {
        let domain = chosen(verb.domain.as_deref(), is_asking(verb), loaded)?;
        let name = match (&verb.name, is_asking(verb)) {
            (Some(name), _) => Some(name.trim().to_owned()),
            (None, true) => Some(line("Name, as Home Assistant shows it", domain.as_str())?),
            (None, false) => None,
        };
        let name = name.filter(|name| !name.is_empty() && name != domain.as_str());
        let key = match &verb.key {
            Some(key) => key.clone(),
            None => Key::of_name(name.as_deref().unwrap_or(domain.as_str()))
                .context("no key can be made from this name: choose one with --key")?,
        };
        if verb.key.is_none() && loaded.project.policy.forgotten.contains(&key) {
            bail!(
                "the policy has `{key}` under `forgotten`, and an entry with this key would manage that credential again: choose another with --key, or this one if that is meant"
            );
        }
        if let Some(which) = name.as_deref().and_then(hidden_character) {
            bail!("the name has {which}");
        }
        let given = client.map(|client| &client.client_id).or(verb.client_id.as_ref());
        let mut details = Self {
            domain,
            name,
            key,
            client_id: given.map(|id| id.trim().to_owned()).unwrap_or_default(),
            accounts: verb.accounts.clone(),
            expires: verb.expires,
            rotate_after: verb.rotate_after,
            targets: verb.targets.clone(),
        };
        let is_missing = given.is_none();
        if is_missing && !is_asking(verb) {
            bail!("--client-id or --from is needed where there is no terminal to ask on");
        }
        if !is_missing {
            details.check_client_id(loaded)?;
        }
        // Nobody registers an application for what is refused then.
        details.check_new(loaded, None)?;
        console::print_error(&where_to_register(&details.domain, &offered.redirect_uris));
        if is_missing {
            details.ask_client_id(loaded)?;
        }
        Ok(details)
    }

    /// Asks for the client id until it is one.
    fn ask_client_id(&mut self, loaded: &Loaded) -> anyhow::Result<()> {
        loop {
            self.client_id = line("Client id", "")?;
            match self.check_client_id(loaded).and_then(|()| self.check_new(loaded, None)) {
                Ok(()) => return Ok(()),
                Err(why) => console::message(format_args!("{why:#}")),
            }
        }
    }

    fn check_client_id(&self, loaded: &Loaded) -> anyhow::Result<()> {
        let allowed = loaded.project.allow_placeholders;
        refuse("the client id", client_fault(&self.client_id, ClientPart::Id, allowed))
    }

    /// Refuses what the next `validate` would refuse, with the secret or before that is known.
    fn check_new(&self, loaded: &Loaded, secret: Option<&Secret>) -> anyhow::Result<()> {
        let mut project = loaded.project.clone();
        project.allow_plaintext = true;
        project.allow_placeholders |= secret.is_none();
        let tried = secret.cloned().unwrap_or_else(|| Secret::new("x"));
        let mut entry = self.entry(SlotValue::Plain(tried), false);
        if entry.client_id.is_empty() {
            // It is asked for later, and no other entry has it.
            entry.client_id = format!("client-id-of-{}", entry.key);
        }
        let text = new_manifest(&[entry])?;
        let mut problems = Diagnostics::default();
        for tried in manifest::try_out(&[text], &loaded.entries, &project) {
            match (tried, secret) {
                (Err(problem), _) => problems.push(match problem.code {
                    ProblemCode::DuplicateEntryKey => problem.help("choose another with --key"),
                    _ => problem,
                }),
                (Ok(entries), Some(secret)) => {
                    let (id, files) = (Secret::new(&self.client_id), &loaded.files);
                    let check = |entry| check_client(&loaded.project, files, entry, &id, secret);
                    entries.iter().for_each(|entry| problems.append(check(entry)));
                }
                (Ok(_), None) => {}
            }
        }
        refuse_problems(&problems)
    }

    /// Refuses what the next `validate` would refuse with this secret.
    fn check_secret(&self, loaded: &Loaded, secret: &str) -> anyhow::Result<()> {
        self.check_new(loaded, Some(&Secret::new(secret)))?;
        self.check_apart(secret)
    }

    /// Refuses a secret that is also what everybody may read of the entry.
    fn check_apart(&self, secret: &str) -> anyhow::Result<()> {
        let is_in = |text: &str| holds_secret(text, secret);
        let fields = [
            ("name", self.name.as_deref().is_some_and(is_in)),
            ("key", is_in(self.key.as_str())),
            ("accounts", self.accounts.iter().any(|account| is_in(account))),
        ];
        match fields.iter().find(|(_, is_in)| *is_in) {
            Some((field, _)) => bail!(
                "the `{field}` of the entry would hold the client secret, and everybody may read that: choose another"
            ),
            None => Ok(()),
        }
    }

    fn entry(&self, client_secret: SlotValue, adopt: bool) -> NewEntry {
        NewEntry {
            domain: self.domain.as_str().to_owned(),
            name: self.name.clone(),
            key: self.key.as_str().to_owned(),
            client_id: self.client_id.clone(),
            client_secret,
            adopt: if adopt { Adopt::Only } else { Adopt::No },
            accounts: self.accounts.clone(),
            expires: self.expires,
            rotate_after: self.rotate_after,
            leave_integration: false,
            targets: self.targets.clone(),
        }
    }
}

/// Whether missing values are asked for.
fn is_asking(verb: &Add) -> bool {
    console::can_ask() && !verb.secret_stdin
}

/// A manifest's text; `None` where there is no file yet.
pub(super) fn text_of(file: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
    files::optional(files::read_text(file, TEXT_LIMIT))
        .with_context(|| format!("cannot read {}", file.visible()))
}

fn line(prompt: &str, initial: &str) -> anyhow::Result<String> {
    let mut input = Input::<String>::new().with_prompt(prompt);
    if !initial.is_empty() {
        input = input.default(initial.to_owned());
    }
    Ok(questions::ask_keys(|| input.interact_text())?.trim().to_owned())
}

/// The manifest to add to.
fn file(verb: &Add, global: &Global, loaded: &Loaded, domain: &Domain) -> PathBuf {
    match (&verb.file, loaded.manifests.as_slice()) {
        (Some(file), _) => file.clone(),
        (None, [only]) => only.clone(),
        (None, _) => manifest_for(global, &loaded.project, domain),
    }
}

/// A manifest named like the integration, in the first folder of manifests; where the project names
/// files alone, the last of them.
pub(super) fn manifest_for(global: &Global, project: &Project, domain: &Domain) -> PathBuf {
    let project_folder = global.folder.strip_prefix(".").unwrap_or(&global.folder);
    let named = project.manifests.iter().flatten();
    let named: Vec<_> = named.map(|name| project_folder.join(&name.value)).collect();
    match (named.iter().find(|path| path.is_dir()), named.last()) {
        (Some(folder), _) => folder.join(format!("{domain}.yaml")),
        (None, Some(file)) => file.clone(),
        (None, None) => project_folder.join("credentials").join(format!("{domain}.yaml")),
    }
}
