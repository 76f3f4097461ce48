//! `rotate`

use std::path::{Path, PathBuf};
use std::ptr;

use anyhow::{Context, anyhow, bail};

use crate::codes::ChangeCode;
use crate::desired::check_client;
use crate::encrypted_file::{EncryptionContext, SecretPlace, replaced};
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest::{self, Entry, Loaded, SecretValue, secret_values};
use crate::model::{Reference, Secret, Visible};
use crate::report::changes::MadeChange;
use crate::secret::{SecretResolver, StoredAt, places_of, read};

use super::change::{ThenApply, entry, in_order, write};
use super::client_file::ClientFile;
use super::client_secret::{checked, refuse_problems, secret};
use super::exit::ExitStatus;
use super::gather::{load, resolver};
use super::locks::lock_project;
use super::recipients::of_file;
use super::{Global, candidates, console, environment};

/// Replace the client secret of an entry
///
/// Asks for the new secret, which is not shown, and puts it where the old one is, in the form that this has:
/// encrypted with age in the manifest, in a SOPS document, or in the file that !secret or !file names. Nothing
/// else in the file changes. Before `apply` replaces a secret in use, it asks the provider whether the new one
/// is right, as far as that is possible.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred rotate spotify-family
  appcred rotate spotify-family --apply
  appcred rotate calendar --from ~/Downloads/client_secret.json
  pass spotify | appcred rotate spotify-family --secret-stdin --apply --yes")]
pub(super) struct Rotate {
    /// The entry, by key, name or the id of its credential
    #[arg(value_name = "KEY", add = candidates::keys())]
    named: String,
    /// Read the new secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Take the new secret from the JSON that the provider's console offers for download
    #[arg(long, value_name = "FILE", conflicts_with = "secret_stdin")]
    from: Option<PathBuf>,
    #[command(flatten)]
    pub(super) then: ThenApply,
}

pub(super) async fn run(
    global: &Global,
    verb: &Rotate,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    verb.then.check()?;
    let Some(loaded) = in_order(global) else { return Ok(ExitStatus::Failure) };
    let asked = entry(&loaded, &verb.named)?;
    // What cannot be changed is refused before the secret is asked for.
    places(global, &asked, &resolver(global, &loaded.project).0)?;
    let client = verb.from.as_deref().map(ClientFile::read).transpose()?;
    let new = match &client {
        Some(client) => checked(&client.client_secret, &loaded.project)?,
        None => secret(verb.secret_stdin, "--secret-stdin or --from", &loaded.project, |_| Ok(()))?,
    };
    let new = Secret::new(&new);
    let lock = lock_project(global)?;
    // The project may have changed while the secret was typed.
    let loaded = load(global);
    refuse_problems(&loaded.problems)?;
    let entry = unchanged(&loaded, &asked)?;
    let key = &entry.key.value;
    let (resolver, _) = resolver(global, &loaded.project);
    // What cannot be read now is not compared.
    if let Ok(id) = read(&entry.client_id.value, &resolver) {
        if client.is_some_and(|client| client.client_id.trim() != id.expose()) {
            bail!(
                "the client id in the file is not that of the entry `{key}`: the file belongs to another client"
            );
        }
        let files = &loaded.files;
        refuse_problems(&check_client(&loaded.project, files, entry, &id, &new))?;
    }
    let places = places(global, entry, &resolver)?;
    let Some((file, is_new)) = rotate(global, &loaded, entry, &places, &new, &resolver)? else {
        return Err(unfound(entry, &resolver));
    };
    drop(lock);
    if !is_new {
        console::say("Nothing was changed: it has that secret already.\n")?;
        return match verb.then.is_wanted() {
            true => verb.then.run(global, std::slice::from_ref(key)).await,
            false => Ok(ExitStatus::Success),
        };
    }
    console::say(&format!("Replaced the client secret of `{key}` in {}.\n", file.visible()))?;
    made.push(MadeChange::new(ChangeCode::SecretReplaced).key(key).file(file));
    if let Some(date) = entry.rotate_after.as_ref().or(entry.expires.as_ref()) {
        let (place, date) = (date.spot.place(), date.value);
        console::message(format_args!("Change the date {date} of the entry too ({place})."));
    }
    verb.then.run(global, std::slice::from_ref(key)).await
}

/// The entry as the project has it now, where that is as it was when its secret was asked for.
fn unchanged<'l>(loaded: &'l Loaded, asked: &Entry) -> anyhow::Result<&'l Entry> {
    let key = &asked.key.value;
    let mut found = loaded.entries.iter().filter(|now| now.key.value == *key);
    match (found.next(), found.next()) {
        (Some(now), None)
            if now.client_id.value == asked.client_id.value
                && now.client_secret.value == asked.client_secret.value =>
        {
            Ok(now)
        }
        _ => bail!(
            "nothing was changed: the entry `{key}` was renamed, moved or changed meanwhile; run `appcred rotate` again with its present key"
        ),
    }
}

/// Where the secret of an entry may be, the nearest first.
fn places<'e>(
    global: &Global,
    entry: &'e Entry,
    resolver: &SecretResolver,
) -> anyhow::Result<Vec<StoredAt<'e>>> {
    let (key, reference) = (&entry.key.value, &entry.client_secret.value);
    let Reference::Tagged { tag, argument, .. } = reference else {
        let file = entry.client_secret.spot.file.path().to_owned();
        return Ok(vec![StoredAt { file, name: None }]);
    };
    let inside = places_of(reference, resolver).into_iter();
    let inside = inside.map(|StoredAt { file, name }| {
        let file = resolver.path_from(&global.folder, &file);
        StoredAt { file, name }
    });
    let places: Vec<StoredAt<'_>> = inside.filter(|place| place.file.is_file()).collect();
    if places.is_empty() && matches!(tag.as_str(), "secret" | "file") {
        return Err(unfound(entry, resolver));
    }
    if places.is_empty() {
        let argument = argument.visible();
        bail!(
            "the secret of `{key}` is not in a file of this project: change it where `!{tag} {argument}` reads it, and run `appcred apply --key {key}`"
        );
    }
    Ok(places)
}

/// Why the secret of an entry is in no file that could be changed.
fn unfound(entry: &Entry, resolver: &SecretResolver) -> anyhow::Error {
    let (key, place) = (&entry.key.value, entry.client_secret.spot.place());
    match read(&entry.client_secret.value, resolver) {
        Err(why) => {
            anyhow!("cannot find the secret of `{key}` ({place}): {why}; {}", why.help())
        }
        Ok(_) => anyhow!(
            "the secret of `{key}` ({place}) is in no file of this project that can be changed in place: change it by hand"
        ),
    }
}

/// Refuses a secret that something else in the project reads too, as an entry for another client or the token
/// of a target: the new one would become its own.
fn check_shared(
    loaded: &Loaded,
    entry: &Entry,
    place: &StoredAt<'_>,
    resolver: &SecretResolver,
) -> anyhow::Result<()> {
    let Reference::Tagged { .. } = &entry.client_secret.value else { return Ok(()) };
    let reads_it =
        |other: &Reference| places_of(other, resolver).iter().any(|other| other.overlaps(place));
    let is_of_client = |other: &SecretValue<'_>| {
        let mut entries = loaded.entries.iter();
        entries.any(|of| {
            of.client_id.value == entry.client_id.value && ptr::eq(&of.client_secret, other.value)
        })
    };
    let mut values = secret_values(&loaded.project, &loaded.entries);
    let other = values.find(|other| reads_it(&other.value.value) && !is_of_client(other));
    let Some(SecretValue { field, value }) = other else { return Ok(()) };
    bail!(
        "`{}` at {} reads the same secret from {}: give each a secret of its own, or change this one with `appcred edit {}`",
        field.name,
        value.spot.place(),
        place.file.visible(),
        place.file.visible()
    )
}

/// Puts the new secret into the first of these places that has the old one, and answers in which file that is
/// and whether anything changed. The project is locked.
fn rotate<'p>(
    global: &Global,
    loaded: &Loaded,
    entry: &Entry,
    places: &'p [StoredAt<'_>],
    new: &Secret,
    resolver: &SecretResolver,
) -> anyhow::Result<Option<(&'p Path, bool)>> {
    let mut project = loaded.project.clone();
    let now = environment::timestamp();
    let keep_plain = project.allow_plaintext;
    // All secrets of the decrypted text are in plain text.
    project.allow_plaintext = true;
    for stored in places {
        let file = &stored.file;
        let of_entry = |text: &str| {
            let (entries, _) = manifest::entries(file, text, &project);
            let found = entries.iter().find(|other| other.key.value == entry.key.value);
            found.map(|found| found.client_secret.spot.span.start)
        };
        let place = match &entry.client_secret.value {
            Reference::Tagged { .. } => SecretPlace::Stored(stored),
            _ => SecretPlace::At(&of_entry),
        };
        let shown = file.visible();
        let before =
            files::read(file, TEXT_LIMIT).with_context(|| format!("cannot read {shown}"))?;
        let recipients =
            of_file(&global.folder, &loaded.project, file).map_err(|why| anyhow!("{why}"))?;
        let with = EncryptionContext { recipients: &recipients.names, now: &now, keep_plain };
        let after = replaced(&before, &place, new, with, resolver)
            .map_err(|why| anyhow!("cannot change {shown}: {}", why.with_help()))?;
        let Some(after) = after else { continue };
        check_shared(loaded, entry, stored, resolver)?;
        if after == **before {
            return Ok(Some((file, false)));
        }
        if recipients.are_used_in(&after) {
            recipients.warn_of_lockout(resolver);
        }
        let change = FileChange { path: file.clone(), before: Some(before), after };
        write(global, std::slice::from_ref(&change))?;
        recipients.say_of(&change.after);
        return Ok(Some((file, true)));
    }
    Ok(None)
}
