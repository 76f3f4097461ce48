//! What people of other tools type, and what it is called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use super::verb::VerbArgs;

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
    #[cfg(not(feature = "kubernetes"))]
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
    ("state", "list"),
    ("search", "list"),
    ("logs", "watch"),
    ("run", "apply"),
    ("daemon", "watch"),
    ("update", "apply"),
    ("pull", "import"),
    ("move", "rename"),
    ("unlink", "rm"),
];
/// An argument of another tool, and ours.
const ARGUMENTS: &[(&str, &str)] = &[
    ("--client-secret", "--secret-stdin"),
    ("--secret", "--secret-stdin"),
    ("--auto-approve", "--yes"),
    ("--force", "--yes"),
    ("--dry-run", "'appcred plan' shows what would be done"),
    ("--check", "'appcred plan' shows what would be done"),
    ("--json", "'--format json' writes it for programs"),
    ("-o", "'--format json' writes it for programs"),
];

/// That an option of several letters has one dash, as in terraform and Go: clap would read letters and values in
/// it, and write a file `ut=tfplan` for `-out=tfplan`. Its value may be a secret.
pub(super) fn one_dash(arguments: impl Iterator<Item = String>) -> Option<String> {
    let name = |argument: String| {
        let name = argument.split('=').next()?.strip_prefix('-')?;
        (name.len() > 2 && !name.starts_with('-')).then(|| name.to_owned())
    };
    let names = arguments.take_while(|argument| argument != "--").filter_map(name);
    let names: Vec<String> = names.collect();
    // Mostly there is none, and nothing has to be looked up.
    if names.is_empty() {
        return None;
    }
    let program = VerbArgs::described();
    let verbs = program.get_subcommands().flat_map(Command::get_arguments);
    let known: Vec<&str> = verbs.filter_map(|of| of.get_long()).collect();
    let ours = |name: &str| {
        let is_theirs = |(theirs, _): &&(&str, &str)| theirs.strip_prefix("--") == Some(name);
        let theirs = ARGUMENTS.iter().find(is_theirs).map(|(_, ours)| (*ours).to_owned());
        theirs.or_else(|| known.contains(&name).then(|| format!("--{name}")))
    };
    let ours = names.iter().find_map(|name| ours(name))?;
    Some(format!("options have two dashes here: {ours}"))
}

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
    let advice = |tip: String| ContextValue::StyledStrs(vec![tip.into()]);
    let (kind, found) = match kind {
        ContextKind::SuggestedArg => match ours(ARGUMENTS) {
            Some(tip) if tip.starts_with('\'') => (ContextKind::Suggested, Some(advice(tip))),
            ours => (kind, ours.map(ContextValue::String)),
        },
        _ => (kind, ours(VERBS).map(|verb| ContextValue::Strings(vec![verb]))),
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let selects = ["plan", "list", "watch"].iter().any(|verb| usage.contains(&format!(" {verb} ")));
    if let Some(found) = found {
        error.remove(ContextKind::Suggested);
        error.insert(kind, found);
    } else if selects && of == ContextKind::InvalidArg && !typed.starts_with('-') {
        let tip =
            format!("'--key {typed}' selects an entry; a pattern needs quotes, as in --key '*'");
        error.insert(ContextKind::Suggested, advice(tip));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{advised, one_dash};
    use crate::cli::Cli;

    #[test]
    fn options_with_one_dash_are_recognized() {
        let advice = |line: &str| one_dash(line.split(' ').map(str::to_owned));
        for (line, expected) in [
            ("plan -out=tfplan", "--out"),
            ("plan -target=home", "--target"),
            ("plan -target home", "--target"),
            ("apply -auto-approve", "--yes"),
            ("add -client-secret=abc", "--secret-stdin"),
            ("apply -dry-run", "'appcred plan' shows what would be done"),
        ] {
            assert_eq!(advice(line), Some(format!("options have two dashes here: {expected}")));
        }
        for line in ["plan -ohouse.plan -vv -t home", "add --client-id=-out", "edit -- -out"] {
            assert_eq!(advice(line), None, "{line}");
        }
    }

    #[test]
    fn what_other_tools_call_it_leads_to_what_it_is_called_here() {
        for (arguments, expected) in [
            ("check", "'validate'"),
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
            ("plan family", "'--key family' selects an entry"),
            ("apply --dry-run", "'appcred plan' shows what would be done"),
            ("state", "'list'"),
            ("daemon", "'watch'"),
            ("list -o json", "'--format json' writes it"),
            ("verify -ojson", "'--format json' writes it"),
        ] {
            let words = ["appcred"].into_iter().chain(arguments.split(' '));
            let error = Cli::try_parse_from(words).err().unwrap();
            let text = advised(error).to_string();
            assert!(text.contains(expected), "{arguments}: {text}");
            assert_eq!(text.matches("tip:").count(), 1, "{arguments}: {text}");
        }
    }
}
