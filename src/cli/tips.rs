//! What people of other tools type, and what it is called here.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A verb of another tool, and ours.
const VERBS: &[(&str, &str)] = &[
    ("check", "validate"),
    ("lint", "validate"),
    ("preview", "plan"),
    ("refresh", "plan"),
    ("status", "list"),
    ("show", "list"),
    ("get", "list"),
    ("ls", "list"),
    ("describe", "list"),
    ("sync", "apply"),
    ("up", "apply"),
    ("deploy", "apply"),
    ("reconcile", "watch"),
    ("serve", "watch"),
    ("link", "authorize"),
    ("auth", "authorize"),
    ("test", "verify"),
    ("export", "import"),
    ("config", "edit"),
    ("decrypt", "edit"),
    ("updatekeys", "rekey"),
    ("new", "add"),
    ("create", "add"),
    ("mv", "rename"),
    ("remove", "rm"),
    ("delete", "rm"),
    ("destroy", "rm"),
    ("prune", "rm"),
];
/// An argument of another tool, and ours.
const ARGUMENTS: &[(&str, &str)] = &[
    ("--client-secret", "--secret-stdin"),
    ("--secret", "--secret-stdin"),
    ("--auto-approve", "--yes"),
    ("--force", "--yes"),
];

/// The error with advice in the place of what only looks similar.
pub(super) fn advised(mut error: Error) -> Error {
    let (kind, of) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            (ContextKind::SuggestedSubcommand, ContextKind::InvalidSubcommand)
        }
        ErrorKind::UnknownArgument => (ContextKind::SuggestedArg, ContextKind::InvalidArg),
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(of) else { return error };
    let typed = typed.split('=').next().unwrap_or_default().to_owned();
    let ours = |table: &[(&str, &str)]| {
        let mut known = table.iter();
        known.find(|(theirs, _)| *theirs == typed).map(|(_, ours)| (*ours).to_owned())
    };
    let found = match kind {
        ContextKind::SuggestedArg => ours(ARGUMENTS).map(ContextValue::String),
        _ => ours(VERBS).map(|verb| ContextValue::Strings(vec![verb])),
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let selects = ["plan", "list", "watch"].iter().any(|verb| usage.contains(&format!(" {verb} ")));
    if let Some(found) = found {
        error.remove(ContextKind::Suggested);
        error.insert(kind, found);
    } else if selects && kind == ContextKind::SuggestedArg && !typed.starts_with('-') {
        let tip = format!("'--key {typed}' selects that entry");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::advised;
    use crate::cli::Cli;

    #[test]
    fn what_other_tools_call_it_leads_to_what_it_is_called_here() {
        for (arguments, expected) in [
            ("check", "'validate'"),
            ("export", "'import'"),
            ("get", "'list'"),
            ("up", "'apply'"),
            ("config", "'edit'"),
            ("status", "'list'"),
            ("sync", "'apply'"),
            ("remove", "'rm'"),
            ("destroy", "'rm'"),
            ("add --client-secret X", "'--secret-stdin'"),
            ("add --client-secret=X", "'--secret-stdin'"),
            ("apply --auto-approve", "'--yes'"),
            ("aply", "'apply'"),
            ("plan family", "'--key family' selects that entry"),
        ] {
            let words = ["appcred"].into_iter().chain(arguments.split(' '));
            let error = Cli::try_parse_from(words).err().unwrap();
            let text = advised(error).to_string();
            assert!(text.contains(expected), "{arguments}: {text}");
            assert_eq!(text.matches("tip:").count(), 1, "{arguments}: {text}");
        }
    }
}
