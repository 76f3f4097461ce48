//! Access tokens that a file holds or a program prints.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::files;
use crate::model::Secret;

/// No token is as long.
const LONGEST: u64 = 16 * 1024;
const MORE_THAN_A_TOKEN: &str = "gives more than an access token";
/// A program may have to ask a person to unlock something.
const PATIENCE_SECONDS: u64 = 60;

/// Why a token could not be had. None of it repeats what was read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoToken {
    /// The file cannot be read.
    #[error("cannot read {}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: String,
    },
    /// The program cannot be run.
    #[error("cannot run `{program}`: {why}")]
    NotRun {
        /// The program.
        program: String,
        /// The reason.
        why: String,
    },
    /// The program says that it failed.
    #[error("`{program}` ended with {status}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program does not come to its end.
    #[error("`{program}` was not done within {PATIENCE_SECONDS} seconds")]
    TooSlow {
        /// The program.
        program: String,
    },
    /// Something else than one token.
    #[error("{name} {what}")]
    NoToken {
        /// The file or program.
        name: String,
        /// What is the matter.
        what: &'static str,
    },
}

/// Reads the token that a file holds.
///
/// # Errors
/// Where there is none.
pub fn from_file(file: &Path) -> Result<Secret, NoToken> {
    let fault = |error: std::io::Error| match error.kind() {
        ErrorKind::FileTooLarge => {
            NoToken::NoToken { name: file.display().to_string(), what: MORE_THAN_A_TOKEN }
        }
        _ => NoToken::File { file: file.into(), why: error.to_string() },
    };
    let bytes = files::read(file, LONGEST).map_err(fault)?;
    token(&bytes, || file.display().to_string())
}

/// Runs a program in a folder, without a shell, and reads the token that it prints. What it says on
/// standard error goes to the person.
///
/// # Errors
/// Where there is none.
pub async fn from_command(
    program: &str,
    arguments: &[String],
    folder: &Path,
) -> Result<Secret, NoToken> {
    let fault =
        |error: std::io::Error| NoToken::NotRun { program: program.into(), why: error.to_string() };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(fault)?;
    let mut bytes = Zeroizing::new(Vec::new());
    let output = child.stdout.take();
    let run = async {
        if let Some(output) = output {
            output.take(LONGEST + 1).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    let status = timeout(Duration::from_secs(PATIENCE_SECONDS), run)
        .await
        .map_err(|_| NoToken::TooSlow { program: program.to_owned() })?
        .map_err(fault)?;
    // Somebody who prints on and on is cut off by that.
    let is_cut_off = bytes.len() as u64 > LONGEST;
    if !status.success() && !is_cut_off {
        return Err(NoToken::Failed { program: program.to_owned(), status });
    }
    token(&bytes, || format!("`{program}`"))
}

fn token(bytes: &[u8], name: impl Fn() -> String) -> Result<Secret, NoToken> {
    let fault = |what| NoToken::NoToken { name: name(), what };
    if bytes.len() as u64 > LONGEST {
        return Err(fault(MORE_THAN_A_TOKEN));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fault("gives no text"))?.trim();
    if text.is_empty() {
        return Err(fault("gives nothing"));
    }
    if text.contains(|sign: char| sign.is_whitespace() || sign.is_control()) {
        return Err(fault(MORE_THAN_A_TOKEN));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::{from_command, from_file, token};

    #[test]
    fn a_token_is_one_word() {
        let read = |text: &str| token(text.as_bytes(), || "it".to_owned());
        assert_eq!(read("  abc.def\r\n").unwrap().expose(), "abc.def");
        for text in ["", " \n", "two words", "two\nlines", &"x".repeat(20_000)] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.starts_with("it gives "), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let said = from_file("/nowhere/token".as_ref()).unwrap_err().to_string();
        assert_eq!(said, "cannot read /nowhere/token: there is no such file or folder");
    }

    #[tokio::test]
    async fn a_program_is_run_without_a_shell() {
        let run = async |words: &[&str]| {
            let arguments: Vec<_> = words[1..].iter().map(|word| (*word).to_owned()).collect();
            from_command(words[0], &arguments, "/".as_ref()).await.map_err(|why| why.to_string())
        };
        assert_eq!(run(&["echo", "$HOME;x"]).await.unwrap().expose(), "$HOME;x");
        assert_eq!(run(&["pwd"]).await.unwrap().expose(), "/");
        assert_eq!(run(&["false"]).await.unwrap_err(), "`false` ended with exit status: 1");
        assert!(run(&["no-such-program"]).await.unwrap_err().starts_with("cannot run"));
        assert_eq!(run(&["yes"]).await.unwrap_err(), "`yes` gives more than an access token");
    }
}
