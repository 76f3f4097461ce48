//! Arguments that need or exclude each other, and what to write instead.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is missing, and what to do.
const NEEDED: &[(&str, &str)] = &[
    (
        "--apply",
        "--yes answers the question that --apply asks: add --apply to change the targets as well, or leave --yes out, since nothing is asked without --apply",
    ),
    ("--verify", "--strict says how --verify is meant: add --verify, or leave --strict out"),
    (
        "--against",
        "--max-age is about a snapshot: add --against with the file or the address of one, or leave --max-age out",
    ),
    (
        "--git",
        "the options that begin with --git- are about a repository elsewhere: add --git with its address, or leave them out",
    ),
    (
        "--git-token-file",
        "--git-user says whose token it is: add --git-token-file with the file of the token, or leave --git-user out",
    ),
];

/// Two that exclude each other, and what to do.
const EXCLUSIVE: &[(&str, &str, &str)] = &[
    (
        "--from",
        "--client-id",
        "the file of --from has the client id: leave --client-id out, or give the client by --client-id and --secret-stdin",
    ),
    (
        "--from",
        "--secret-stdin",
        "--from and --secret-stdin both give the client secret: leave one of them out",
    ),
    ("[FILE]", "--target", SAVED),
    ("[FILE]", "--selector", SAVED),
    ("[FILE]", "--key", SAVED),
    ("[FILE]", "--domain", SAVED),
    ("[FILE]", "--exclude", SAVED),
    (
        "--out",
        "--against",
        "a plan from a snapshot is only to be read, since the targets may hold something else by now: leave --out out, or plan without --against and save that",
    ),
    (
        "--other-owners",
        "--foreign",
        "--foreign takes only what has no owner, and --other-owners what others manage as well: leave one of them out",
    ),
    (
        "--history",
        "--git",
        "the history is searched in a clone on this machine: run `git clone`, and in that folder `appcred validate --history`",
    ),
    (
        "--git-allowed-signers",
        "--git-gpg-keys",
        "commits are signed by keys of ssh or of GnuPG: leave --git-allowed-signers or --git-gpg-keys out",
    ),
    (
        "--namespace",
        "--all-namespaces",
        "--all-namespaces is about every namespace: leave it or --namespace out",
    ),
    (
        "--resources",
        "--url",
        "the addresses are those of the resources: leave --url out, or begin a project without --resources",
    ),
    (
        "--config-dir",
        "--url",
        "a target is a running Home Assistant or the folder of one that is stopped: leave --config-dir or --url out",
    ),
    (
        "--resources",
        "--config-dir",
        "the targets are those of the resources: leave --config-dir out, or begin a project without --resources",
    ),
    (
        "--kubernetes",
        "--git",
        "the manifests are in a cluster or in a repository: leave --kubernetes or --git out",
    ),
    (
        "--no-lease",
        "--lease-duration",
        "--no-lease keeps no Lease: leave it or --lease-duration out",
    ),
    ("--no-lease", "--shards", "each shard has a Lease: leave --no-lease or --shards out"),
];

const SAVED: &str = "a saved plan is applied as a whole: leave the selection out, or make another plan of it with `appcred plan`, the same selection and --out FILE";

/// What to write instead, where that is known of what clap refuses.
pub(super) fn instead(error: &Error) -> Option<&'static str> {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(one)) => vec![flag(one)],
        Some(ContextValue::Strings(all)) => all.iter().map(|one| flag(one)).collect(),
        _ => Vec::new(),
    };
    let invalid = named(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let is_missing = |(needed, _): &&(&str, &str)| invalid.contains(needed);
            NEEDED.iter().find(is_missing).map(|(_, advice)| *advice)
        }
        ErrorKind::ArgumentConflict => {
            let all: Vec<&str> = [invalid, named(ContextKind::PriorArg)].concat();
            let are_both =
                |(one, other, _): &&(&str, &str, &str)| all.contains(one) && all.contains(other);
            EXCLUSIVE.iter().find(are_both).map(|(_, _, advice)| *advice)
        }
        _ => None,
    }
}

/// The option without its value: `--git` of `--git <URL>`.
fn flag(argument: &str) -> &str {
    argument.split(' ').next().unwrap_or(argument)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, CommandFactory};

    use super::{EXCLUSIVE, instead};
    use crate::cli::Cli;

    fn advice(line: &str) -> Option<&'static str> {
        let words = ["appcred"].into_iter().chain(line.split(' '));
        instead(&Cli::command().try_get_matches_from(words).err().unwrap())
    }

    #[test]
    fn what_needs_another_option_says_which() {
        for (line, said) in [
            ("rm k --yes", "add --apply to"),
            ("rotate k -y", "add --apply to"),
            ("rename a b --yes", "add --apply to"),
            ("apply --strict", "add --verify"),
            ("plan --max-age 1h", "add --against"),
            ("plan --git-ref main", "add --git with"),
            ("watch --git-interval 60", "add --git with"),
            ("plan --git /x --git-user me", "add --git-token-file"),
        ] {
            assert!(advice(line).is_some_and(|advice| advice.contains(said)), "{line}");
        }
        // Clap's own answer says what to write.
        assert_eq!(advice("rm"), None);
    }

    #[test]
    fn whatever_excludes_something_says_what_to_leave_out() {
        let shown = |argument: &Arg| match argument.get_long() {
            Some(long) => format!("--{long}"),
            None => "[FILE]".to_owned(),
        };
        let is_known = |one: &str, other: &str| {
            EXCLUSIVE.iter().any(|of| [(one, other), (other, one)].contains(&(of.0, of.1)))
        };
        let mut command = Cli::command();
        command.build();
        let mut number = 0;
        for verb in command.get_subcommands() {
            let arguments: Vec<&Arg> = verb.get_arguments().collect();
            for argument in arguments {
                for other in verb.get_arg_conflicts_with(argument) {
                    number += 1;
                    let (one, other) = (shown(argument), shown(other));
                    assert!(is_known(&one, &other), "{}: {one} {other}", Command::get_name(verb));
                }
            }
        }
        assert!(number > 5, "{number}");
        for (line, said) in [
            ("plan --out x --against y", "leave --out out"),
            ("apply f -t home", "leave the selection out"),
            ("apply f --key a,b", "leave the selection out"),
            ("add --from f --client-id x", "leave --client-id out"),
            ("rotate k --from f --secret-stdin", "leave one of them out"),
            ("import --foreign --other-owners", "leave one of them out"),
            ("plan --git /x --git-allowed-signers a --git-gpg-keys b", "of ssh or of GnuPG"),
            ("validate --history --git /x", "run `git clone`"),
        ] {
            assert!(advice(line).is_some_and(|advice| advice.contains(said)), "{line}");
        }
    }
}
