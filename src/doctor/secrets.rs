//! Identities, recipients, and whether what is encrypted can be read here.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::HealthCheck;
use super::project::each;
use crate::codes::CheckCode;
use crate::manifest::{Loaded, Project, secret_values};
use crate::model::{Place, Reference, Visible, counted};
use crate::recipients;
use crate::secret::env::IdentitySources;
use crate::secret::seal::shown;
use crate::secret::{
    Identities, IdentityProblem, Nobody, RuleRecipients, SecretResolver, Unreadable,
    is_from_program, read_all, rule_recipients,
};
use crate::workspace::Workspace;

pub(super) fn look(
    workspace: &Workspace,
    loaded: &Loaded,
    resolver: &SecretResolver,
    unusable: &[IdentityProblem],
) -> Vec<HealthCheck> {
    let project = &loaded.project;
    let mut checks = identities(workspace, project, unusable);
    checks.extend(secrets(loaded, resolver));
    checks.extend(to_whom(loaded, resolver));
    checks.extend(rules(workspace, loaded));
    checks
}

/// Each identity that is found: where, who may read it, and for whom it opens.
fn identities(
    workspace: &Workspace,
    project: &Project,
    unusable: &[IdentityProblem],
) -> Vec<HealthCheck> {
    let code = CheckCode::Identities;
    let sources = &workspace.environment.identities;
    let named = workspace.identity_files(project);
    let files = named.iter().chain(sources.all_files()).filter(|file| file.exists());
    let mut checks: Vec<HealthCheck> = files.map(|file| identity_file(file)).collect();
    for (variable, text) in &sources.texts {
        let texts = vec![(*variable, text.clone())];
        let alone = IdentitySources { texts, ..IdentitySources::default() };
        let (found, _) = Identities::gather(&[], &alone, Nobody);
        checks.push(HealthCheck::ok(code, format!("{variable} holds {}", described(&found))));
    }
    for (variable, _) in &sources.programs {
        checks.push(HealthCheck::ok(code, format!("{variable} names a program that prints some")));
    }
    for problem in unusable {
        let help = "correct it under `age: identities:` in appcred.yaml, or in the environment";
        checks.push(HealthCheck::warning(code, problem.to_string()).help(help));
    }
    if checks.is_empty() {
        let none = "none is found in appcred.yaml, in the environment, or at the usual places";
        checks.push(HealthCheck::skipped(code, none));
    }
    checks
}

fn identity_file(file: &Path) -> HealthCheck {
    let code = CheckCode::Identities;
    let (found, _) =
        Identities::gather(&[file.to_owned().into()], &IdentitySources::default(), Nobody);
    let mode = file.metadata().map(|data| data.permissions().mode() & 0o777).unwrap_or_default();
    let seen = format!("{} (mode {mode:03o}) holds {}", file.visible(), described(&found));
    match mode & 0o077 {
        0 => HealthCheck::ok(code, seen),
        _ => HealthCheck::warning(code, format!("{seen}, and others on this machine may read it"))
            .help(format!("`chmod 600 {}`", file.visible())),
    }
}

/// How many, and their public parts.
fn described(identities: &Identities) -> String {
    let number = counted(identities.len(), "identity");
    let recipients: Vec<String> =
        identities.recipients().iter().map(|recipient| shown(recipient)).collect();
    match recipients.as_slice() {
        [] => number,
        some => format!("{number}: {}", some.join(", ")),
    }
}

/// Whether what is not in plain text can be read here; what has the same reason is one check.
fn secrets(loaded: &Loaded, resolver: &SecretResolver) -> Vec<HealthCheck> {
    let code = CheckCode::Secrets;
    let values = secret_values(&loaded.project, &loaded.entries);
    let (asked, values): (Vec<_>, Vec<_>) = values
        .map(|secret| secret.value)
        .filter(|value| !matches!(value.value, Reference::Plain(_)))
        .partition(|value| is_from_program(&value.value));
    let references: Vec<&Reference> = values.iter().map(|value| &value.value).collect();
    let read = read_all(&references, resolver);
    let mut unread: BTreeMap<String, (Vec<Place>, Unreadable)> = BTreeMap::new();
    for (value, why) in
        values.iter().zip(read).filter_map(|(value, read)| Some((value, read.err()?)))
    {
        let place = value.spot.place();
        unread.entry(why.to_string()).or_insert_with(|| (Vec::new(), why)).0.push(place);
    }
    let failed: usize = unread.values().map(|(places, _)| places.len()).sum();
    let mut checks = Vec::new();
    match values.len() - failed {
        0 => {}
        read => {
            checks.push(HealthCheck::ok(code, format!("{} can be read", counted(read, "secret"))))
        }
    }
    for (why, (places, unreadable)) in unread {
        let more = match places.len() {
            1 => String::new(),
            several => format!(" and {} more", several - 1),
        };
        let first = places.first().map(ToString::to_string).unwrap_or_default();
        let seen = format!("{first}{more}: {why}");
        checks.push(match unreadable {
            Unreadable::Unanswered => {
                HealthCheck::skipped(code, format!("{seen}; nobody can be asked here"))
            }
            why if why.is_not_asked() => HealthCheck::skipped(code, seen),
            _ => HealthCheck::error(code, seen).help(unreadable.help()),
        });
    }
    if !asked.is_empty() {
        let all = counted(asked.len(), "secret");
        checks.push(HealthCheck::skipped(
            code,
            format!("{all} from programs, which are not started here"),
        ));
    }
    checks
}

/// To whom secrets are and will be encrypted.
fn to_whom(loaded: &Loaded, resolver: &SecretResolver) -> Vec<HealthCheck> {
    let code = CheckCode::Recipients;
    let recipients = &loaded.project.age.recipients;
    if loaded.project.age.lacks_recipients {
        return vec![HealthCheck::skipped(code, "those in appcred.yaml could not be read")];
    }
    let mut checks = each(code, &recipients::check(&loaded.project, &loaded.entries, resolver));
    let own = recipients.iter().filter(|name| resolver.owns(name)).count();
    let seen = format!("appcred.yaml names {}", counted(recipients.len(), "recipient"));
    match (recipients.len(), own) {
        (0, _) => checks.push(HealthCheck::skipped(code, "appcred.yaml names none")),
        (_, 0) if !resolver.is_locked_out_by(recipients) => checks.push(HealthCheck::ok(code, seen)),
        (_, 0) => checks.push(
            HealthCheck::warning(code, format!("{seen}, and none belongs to an identity found here"))
                .help("add yours to `age: recipients:`, or you cannot read what you encrypt; `appcred rekey` then encrypts everything again"),
        ),
        (_, own) => checks.push(HealthCheck::ok(code, format!("{seen}, {own} of them with an identity found here"))),
    }
    checks
}

/// What the rules of SOPS say of the manifests.
fn rules(workspace: &Workspace, loaded: &Loaded) -> Option<HealthCheck> {
    let code = CheckCode::SopsRules;
    let likely = || vec![workspace.folder.join("credentials.yaml")];
    let manifests: Vec<PathBuf> =
        if loaded.manifests.is_empty() { likely() } else { loaded.manifests.clone() };
    let mut all =
        manifests.iter().filter_map(|file| rule_recipients(&workspace.folder, file).transpose());
    let own = &loaded.project.age.recipients;
    let others = |rule: &RuleRecipients| {
        let is_missing =
            |(one, other): (&[String], &[String])| one.iter().any(|name| !other.contains(name));
        !own.is_empty()
            && !loaded.project.age.lacks_recipients
            && (is_missing((own, &rule.recipients)) || is_missing((&rule.recipients, own)))
    };
    Some(match all.next()? {
        Err(why) => HealthCheck::warning(code, why.to_string()),
        Ok(rule) if others(&rule) => HealthCheck::warning(
            code,
            format!("{} names other recipients than appcred.yaml", rule.file.visible()),
        )
        .help("appcred encrypts to those of appcred.yaml, and `sops` to those of its rules: name the same in both"),
        Ok(rule) => HealthCheck::ok(
            code,
            format!("{} names {}", rule.file.visible(), counted(rule.recipients.len(), "recipient")),
        ),
    })
}
