//! `completion`

use std::ffi::OsStr;

use anyhow::Context;
use clap::{Command, CommandFactory, ValueHint};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use crate::model::is_hidden;

use super::exit::ExitStatus;
use super::{Cli, console, environment};

/// What a shell's script sets when it asks what may come next.
const VARIABLE: &str = "APPCRED_COMPLETE";

/// Where bash's script asks.
const ASKING: &str = "    COMPREPLY=( $( ";
/// Bash has each word as it is typed, with its quotes.
const BASH_QUOTED_WORDS: &str = r#"    words=("${words[@]//[\\\"\']/}")
"#;
/// Where it has the answer.
const ANSWERED: &str = "        compopt -o nospace\n    fi\n}";
/// Bash writes what is offered as it is. Within quotes nothing more is needed.
const BASH_QUOTED_ANSWER: &str = r#"        compopt -o nospace
    fi
    if [[ "${COMP_WORDS[COMP_CWORD]-}" != [\"\']* ]]; then
        for at in "${!COMPREPLY[@]}"; do
            if [[ "${COMPREPLY[at]}" == *[!A-Za-z0-9_.,:/=@%+~-]* ]]; then
                COMPREPLY[at]=$(printf %q "${COMPREPLY[at]}")
            fi
        done
    fi
}"#;
/// Zsh has the words as they are typed too, and fish the last one.
const QUOTED: [(Shell, &str, &str); 2] = [
    (Shell::Zsh, r#"appcred -- "${words[@]}""#, r#"appcred -- "${(@)${(@Q)words}#[\"\']}""#),
    (
        Shell::Fish,
        "(commandline --current-token)",
        "(string unescape -- (commandline --current-token); or commandline --current-token)",
    ),
];
/// To bash the `=` of `--key=x` is a word of its own.
const BASH_EQUALS_SIGN: &str = r#"    local at kept=()
    for at in "${!words[@]}"; do
        if [[ "${words[at]}" != "=" || "${words[at-1]}" != --* ]]; then
            kept+=("${words[at]}")
        elif (( at == COMP_CWORD )); then
            kept+=("")
        elif (( at < COMP_CWORD )); then
            _CLAP_COMPLETE_INDEX=$((_CLAP_COMPLETE_INDEX - 1))
        fi
    done
    words=("${kept[@]}")
"#;

/// Print what lets a shell complete commands, targets and keys
///
/// The shell then asks appcred itself while a command line is typed, which reads the manifests of the project
/// and no secret.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred completion bash > ~/.local/share/bash-completion/completions/appcred
  appcred completion zsh > ~/.zfunc/_appcred
  appcred completion fish > ~/.config/fish/completions/appcred.fish")]
pub(super) struct CompletionArgs {
    /// Of which shell
    shell: Shell,
}

pub(super) fn run(verb: &CompletionArgs) -> anyhow::Result<ExitStatus> {
    let shells = Shells::builtins();
    let name = verb.shell.to_string();
    let shell = shells.completer(&name).with_context(|| format!("{name} cannot be completed"))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "appcred", "appcred", "appcred", &mut script)?;
    let mut script = String::from_utf8(script)?;
    if verb.shell == Shell::Bash {
        let asking = format!("{BASH_EQUALS_SIGN}{BASH_QUOTED_WORDS}{ASKING}");
        script = script.replacen(ASKING, &asking, 1).replacen(ANSWERED, BASH_QUOTED_ANSWER, 1);
    }
    for (shell, quoted, plain) in QUOTED {
        if verb.shell == shell {
            script = script.replacen(quoted, plain, 1);
        }
    }
    console::print(&script)?;
    Ok(ExitStatus::Success)
}

/// Answers a shell that asks what may come next; none where this is no such question.
pub(super) fn answer() -> Option<ExitStatus> {
    let described = || {
        let mut command = Cli::command();
        // The verbs have no arguments before.
        command.build();
        with_plain_paths(command)
    };
    let asked = CompleteEnv::with_factory(described).var(VARIABLE);
    match asked.try_complete(environment::arguments(), Some(&environment::folder())) {
        Ok(true) => Some(ExitStatus::Success),
        Ok(false) => None,
        Err(_) => Some(ExitStatus::Failure),
    }
}

/// The command where the paths that a shell is offered have no hidden characters: it shows them as they are.
fn with_plain_paths(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath
            if argument.get::<ArgValueCompleter>().is_none() =>
        {
            argument.add(ArgValueCompleter::new(plain_paths))
        }
        _ => argument,
    });
    command.mut_subcommands(with_plain_paths)
}

fn plain_paths(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut paths = PathCompleter::any().complete(current);
    paths.retain(|path| !path.get_value().to_string_lossy().chars().any(is_hidden));
    paths
}
