//! Programs that print a secret.

use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::select;
use tokio::time::timeout;

use crate::model::Visible;

/// A program may have to ask a person to unlock something.
const TIMEOUT_SECONDS: u64 = 60;
/// After this it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a program started may keep its output open after it has ended.
const REST: Duration = Duration::from_millis(500);

/// Why a program gave nothing. The program is named by whoever reports this.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("cannot be run: {0}")]
    NotRun(#[from] std::io::Error),
    /// It says that it failed.
    #[error("ended with {0}")]
    Failed(ExitStatus),
    /// It does not end.
    #[error("did not end within {TIMEOUT_SECONDS} seconds")]
    TooSlow,
}

/// Runs a program in a folder, without a shell, and gives what it prints: `limit` bytes, or one more
/// where it prints more than that. What it writes to standard error goes to the person.
pub(super) async fn output(
    program: &str,
    arguments: &[String],
    folder: &Path,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // With all of its room from the start, so that no copy is left behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let output = child.stdout.take();
    let run = async {
        let read = async {
            match output {
                Some(output) => output.take(limit as u64 + 1).read_to_end(&mut bytes).await,
                None => Ok(0),
            }
        };
        let mut read = pin!(read);
        select! {
            done = &mut read => {
                done?;
                child.wait().await
            }
            ended = child.wait() => {
                timeout(REST, read).await.unwrap_or(Ok(0))?;
                ended
            }
        }
    };
    let ended = {
        let mut run = pin!(timeout(Duration::from_secs(TIMEOUT_SECONDS), run));
        if let Ok(ended) = timeout(PATIENCE, &mut run).await {
            ended
        } else {
            tracing::warn!("waiting for the program `{}`", program.visible());
            run.await
        }
    };
    let status = ended.map_err(|_| ProgramError::TooSlow)??;
    // A program that prints on and on is ended by the closed pipe.
    if !status.success() && bytes.len() <= limit {
        return Err(ProgramError::Failed(status));
    }
    Ok(bytes)
}

/// The same for who cannot wait for a task.
pub(super) fn output_blocking(
    program: &str,
    arguments: &[String],
    folder: &Path,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    // A thread of its own: the caller's may belong to a runtime already, which forbids to block on it.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(output(program, arguments, folder, limit))
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::output;

    #[tokio::test]
    async fn what_a_program_started_is_not_waited_for() {
        let arguments = ["-c", "sleep 300 & echo token"].map(str::to_owned);
        let bytes = output("sh", &arguments, Path::new("."), 100).await.unwrap();
        assert_eq!(bytes.as_slice(), b"token\n");
    }
}
