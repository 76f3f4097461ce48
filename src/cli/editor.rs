//! The person's editor: how it is run, and what it must not keep.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::bail;
use tokio::process::Command;
use tokio::time::timeout;

use super::{console, environment};

/// How long an editor may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);
/// vim keeps nothing elsewhere of what it shows. A small vim does not have all of these options.
const VIM_OPTIONS: &str = "-n -i NONE -c 'silent! set nobackup nowritebackup noundofile'";

/// Editors that open a window and end before it is closed, and the options by which they wait.
const WINDOWS: &[(&str, &[&str])] = &[
    ("atom", &["--wait", "-w"]),
    ("bbedit", &["--wait", "-w"]),
    ("code", &["--wait", "-w"]),
    ("code-insiders", &["--wait", "-w"]),
    ("codium", &["--wait", "-w"]),
    ("cursor", &["--wait", "-w"]),
    ("gvim", &["--nofork", "-f"]),
    ("mate", &["--wait", "-w"]),
    ("mvim", &["--nofork", "-f"]),
    ("open", &["--wait-apps", "-W"]),
    ("subl", &["--wait", "-w"]),
    ("windsurf", &["--wait", "-w"]),
    ("zed", &["--wait", "-w"]),
];

/// An editor.
pub(super) struct Editor {
    /// A command of the shell, as the person wrote it.
    text: String,
    is_vim: bool,
    /// Variables of the environment that it does not get.
    secrets: Vec<String>,
}

impl Editor {
    /// The person's own, or vi where there is a terminal. It does not get the variables of the
    /// environment that hold `secrets`.
    ///
    /// # Errors
    /// Where there is none, or it would not wait.
    pub(super) async fn find(secrets: Vec<String>) -> anyhow::Result<Self> {
        let text = match environment::editor() {
            Some(chosen) => chosen,
            None if console::can_ask() => "vi".to_owned(),
            None => bail!(
                "there is no terminal for vi, and neither VISUAL nor EDITOR names another editor: name one that needs no terminal, or use `appcred add --secret-stdin` for a new entry and `appcred encrypt` for what was typed in plain text"
            ),
        };
        if let Some(option) = waits_by(&text) {
            bail!(
                "the editor `{text}` ends before its window is closed, so that nothing could be saved: set VISUAL or EDITOR to `{text} {option}`"
            );
        }
        let mut editor = Self { text, is_vim: false, secrets };
        editor.is_vim = editor.find_vim().await;
        Ok(editor)
    }

    /// As the person named it.
    pub(super) fn name(&self) -> &str {
        &self.text
    }

    /// Runs it on a file. The shell that reads the command is replaced by the editor, which so gets our
    /// signals.
    pub(super) fn command(&self, file: &Path) -> Command {
        let assigns = self.text.split_whitespace().next().is_some_and(|word| word.contains('='));
        let exec = if assigns { "" } else { "exec " };
        let options = if self.is_vim { VIM_OPTIONS } else { "" };
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{exec}{} {options} \"$@\"", self.text));
        command.arg(&self.text).arg(file);
        self.take_secrets(&mut command);
        command
    }

    fn take_secrets(&self, command: &mut Command) {
        for name in &self.secrets {
            command.env_remove(name);
        }
    }

    /// Whether it is vim, whatever it is called: `vi` is vim on most systems, by a symlink or as a
    /// program of that name.
    async fn find_vim(&self) -> bool {
        let mut words = self.text.split_whitespace();
        let Some(program) = words.find(|word| !word.contains('=')) else { return false };
        let name = Path::new(program).file_name().unwrap_or_default();
        if is_named_vim(Path::new(name)) {
            return true;
        }
        if !matches!(name.to_str(), Some("vi" | "view" | "ex")) {
            return false;
        }
        let Some(file) = environment::program(program) else { return false };
        file.canonicalize().is_ok_and(|real| is_named_vim(&real)) || self.says_vim(&file).await
    }

    async fn says_vim(&self, program: &Path) -> bool {
        let mut command = Command::new(program);
        self.take_secrets(&mut command);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let said = timeout(VERSION_TIMEOUT, command.output()).await;
        said.is_ok_and(|said| said.is_ok_and(|said| said.stdout.starts_with(b"VIM - Vi IMproved")))
    }
}

/// The option that an editor with a window of its own lacks.
fn waits_by(command: &str) -> Option<&'static str> {
    let mut words = command.split_whitespace().skip_while(|word| word.contains('='));
    let program = Path::new(words.next()?).file_name()?.to_str()?;
    let (_, options) = WINDOWS.iter().find(|(name, _)| *name == program)?;
    if words.any(|word| options.contains(&word)) { None } else { options.first().copied() }
}

fn is_named_vim(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.to_string_lossy().contains("vim"))
}

#[cfg(test)]
mod tests {
    use super::waits_by;

    #[test]
    fn an_editor_with_a_window_has_to_wait_for_it() {
        for (command, option) in [
            ("code", "--wait"),
            ("/usr/bin/code -n", "--wait"),
            ("LANG=C subl", "--wait"),
            ("gvim", "--nofork"),
            ("open -a TextEdit", "--wait-apps"),
        ] {
            assert_eq!(waits_by(command), Some(option), "{command}");
        }
        for command in [
            "code --wait",
            "code -w -n",
            "gvim -f",
            "open -W -a TextEdit",
            "vim",
            "nano",
            "sh -c code",
            "",
        ] {
            assert_eq!(waits_by(command), None, "{command}");
        }
    }
}
