//! What an entry's fields say, once they are read, and what is wrong with it.

use std::borrow::Cow;

use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode};
use crate::manifest::Entry;
use crate::model::{
    CLIENT_ID, CLIENT_SECRET, ClientPart, Placeholder, Reference, Secret, ValueFault, is_name_for,
};
use crate::secret::{self, BrokenFile, SecretResolver, Unreadable};

/// A tag is no part of what SOPS encrypts.
const LOST_TAG_HELP: &str = "SOPS drops the tags of YAML: if a tag was before it, as in `!secret NAME`, write the secret itself with `sops edit`, or the field with its tag into a manifest that SOPS does not encrypt; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it";

/// What is wrong with a value.
pub(super) struct Unread {
    pub(super) problems: Diagnostics,
    /// Whether another identity, variable or file could solve it.
    pub(super) is_lacking: bool,
}

/// What a field says: its text, or the next answer.
pub(super) fn take<'e>(
    answers: &mut impl Iterator<Item = Result<Secret, Unreadable>>,
    entry: &'e Entry,
    part: ClientPart,
    resolver: &SecretResolver,
    broken: &mut Vec<BrokenFile>,
) -> Result<Cow<'e, Secret>, Unread> {
    let (_, at) = field(part, entry);
    let name_fault = |secret: &Secret| name_fault(secret, part, entry, resolver);
    if let Reference::Plain(secret) = &at.value {
        return match name_fault(secret) {
            None => Ok(Cow::Borrowed(secret)),
            Some(fault) => Err(unread(&Unreadable::Unfit(fault), part, entry)),
        };
    }
    let Some(answer) = answers.next() else {
        return Err(Unread { problems: Diagnostics::default(), is_lacking: true });
    };
    let words_fault = |secret: &Secret| words_fault(secret, &at.value, resolver);
    let fit = |secret: Secret| {
        let fault = resolver.client_fault(&secret, part).or_else(|| name_fault(&secret));
        match fault.or_else(|| words_fault(&secret)) {
            Some(fault) => Err(Unreadable::Unfit(fault)),
            None => Ok(secret),
        }
    };
    match answer.and_then(fit) {
        Ok(secret) => Ok(Cow::Owned(secret)),
        Err(Unreadable::Broken(file)) => {
            let mut problems = Diagnostics::default();
            if !broken.contains(&file) {
                problems.append(file.problems().clone());
                broken.push(file);
            }
            Err(Unread { problems, is_lacking: false })
        }
        Err(why) => Err(unread(&why, part, entry)),
    }
}

fn unread(why: &Unreadable, part: ClientPart, entry: &Entry) -> Unread {
    let (field, at) = field(part, entry);
    let key = &entry.key.value;
    let (code, message) = match why {
        Unreadable::Unfit(fault) => {
            (ProblemCode::UnfitValue, format!("the {field} of `{key}` {fault}"))
        }
        _ => (why.code(), format!("cannot read the {field} of `{key}`: {why}")),
    };
    let help = match why {
        Unreadable::Unfit(ValueFault::Placeholder(kind))
            if kind.is_name() && matches!(at.value, Reference::Sops { .. }) =>
        {
            LOST_TAG_HELP
        }
        _ => why.help(),
    };
    let problem = Diagnostic::error(code, message).at(&at.spot.file, at.spot.span);
    let mut problems = Diagnostics::default();
    problems.push(problem.help(help));
    Unread { problems, is_lacking: why.is_lacking() }
}

fn field(part: ClientPart, entry: &Entry) -> (&'static str, &Located<Reference>) {
    match part {
        ClientPart::Id => (CLIENT_ID.name, &entry.client_id),
        ClientPart::Secret => (CLIENT_SECRET.name, &entry.client_secret),
    }
}

/// Whether all that a program prints or a file holds is more than one word: a comment, a prompt or a message is with the
/// value or in its place. What a person wrote as a value may have several.
fn words_fault(
    secret: &Secret,
    reference: &Reference,
    resolver: &SecretResolver,
) -> Option<ValueFault> {
    let Reference::Tagged { tag, argument, .. } = reference else { return None };
    let is_whole = tag == "from" || tag == "file" && !argument.contains('#');
    let has_words = secret.expose().trim().contains(' ');
    (is_whole && has_words && !resolver.allows_placeholders())
        .then_some(ValueFault::Placeholder(Placeholder::SeveralWords))
}

/// Whether a value is a name that was written in its place: that of the integration, or of a value in a file of secrets.
fn name_fault(
    secret: &Secret,
    part: ClientPart,
    entry: &Entry,
    resolver: &SecretResolver,
) -> Option<ValueFault> {
    let text = secret.expose();
    if resolver.allows_placeholders() {
        return None;
    }
    let (_, at) = field(part, entry);
    // People choose the ids of clients at their own providers, but SOPS may have dropped a tag.
    let is_chosen = part == ClientPart::Id && !matches!(at.value, Reference::Sops { .. });
    let kind = if !is_chosen && secret::is_name_of_secret(text, at.spot.file.path(), resolver) {
        Placeholder::SecretName
    } else if is_name_for(text, part, &entry.domain.value) {
        Placeholder::Integration
    } else {
        return None;
    };
    Some(ValueFault::Placeholder(kind))
}

/// Whether a secret has the client id before it, as in `id:secret`.
pub(super) fn are_joined(client_id: &Secret, secret: &Secret, resolver: &SecretResolver) -> bool {
    let behind = secret.expose().strip_prefix(client_id.expose());
    !resolver.allows_placeholders()
        && behind.is_some_and(|rest| rest.len() > 1 && rest.starts_with([':', ' ', ',', ';']))
}

pub(super) fn joined(entry: &Entry) -> Unread {
    unread(
        &Unreadable::Unfit(ValueFault::Placeholder(Placeholder::LeftOver)),
        ClientPart::Secret,
        entry,
    )
}
