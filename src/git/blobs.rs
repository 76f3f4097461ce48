//! What old versions of files hold.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::thread;

use secrecy::zeroize::Zeroizing;

use super::{GitError, git, refused};
use crate::files;

/// No manifest is larger.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// So much is kept of what Git complains of.
const LONGEST_COMPLAINT: u64 = 4096;

/// Gives each blob that is text to `each`, one after the other; what is larger than any manifest is left out.
///
/// # Errors
/// Where git cannot be run or refuses, or does not have all of them.
pub(super) fn each_text(
    folder: &Path,
    blobs: &BTreeSet<&str>,
    mut each: impl FnMut(String, Zeroizing<String>),
) -> Result<(), GitError> {
    let mut child = git(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let asked: String = blobs.iter().flat_map(|blob| [blob, "\n"]).collect();
    // It answers while it is asked, and a full pipe would block both.
    let asking = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(asked.as_bytes())));
    let complaining = thread::spawn(move || stderr.map(complaint));
    let mut is_whole = true;
    if let Some(stdout) = stdout {
        let mut answers = BufReader::new(stdout);
        while let Some((blob, answer)) = next_answer(&mut answers)? {
            match answer {
                BlobAnswer::Text(text) => each(blob, text),
                BlobAnswer::Other => {}
                BlobAnswer::Missing => is_whole = false,
            }
        }
    }
    let is_asked = matches!(asking.join(), Ok(Some(Ok(()))));
    let complaint = complaining.join().ok().flatten().unwrap_or_default();
    match child.wait()?.success() {
        true if is_asked && is_whole => Ok(()),
        true if is_asked => Err(GitError::Incomplete),
        _ if complaint.is_empty() => {
            Err(GitError::Refused("it does not show old versions".to_owned()))
        }
        _ => Err(refused(&complaint)),
    }
}

/// The beginning of what Git says; all of it is read, so that it never waits.
fn complaint(mut stderr: ChildStderr) -> Vec<u8> {
    let mut begin = Vec::new();
    let read = io::copy(&mut stderr.by_ref().take(LONGEST_COMPLAINT), &mut begin);
    match read.and_then(|_| io::copy(&mut stderr, &mut io::sink())) {
        Ok(_) => begin,
        Err(why) => why.to_string().into_bytes(),
    }
}

/// What Git says of a blob.
enum BlobAnswer {
    Text(Zeroizing<String>),
    /// It is no text, or too large for a manifest.
    Other,
    /// The repository does not have it.
    Missing,
}

/// The next blob of `git cat-file --batch`.
fn next_answer(answers: &mut impl BufRead) -> io::Result<Option<(String, BlobAnswer)>> {
    let mut head = String::new();
    if answers.read_line(&mut head)? == 0 {
        return Ok(None);
    }
    let mut words = head.trim_end().split(' ');
    let (blob, size) = (words.next().unwrap_or_default(), words.nth(1));
    let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else {
        return Ok(Some((blob.to_owned(), BlobAnswer::Missing)));
    };
    if size > MAX_BYTES {
        io::copy(&mut answers.take(size + 1), &mut io::sink())?;
        return Ok(Some((blob.to_owned(), BlobAnswer::Other)));
    }
    let mut bytes = files::read_bytes(&mut answers.take(size + 1), size + 1, size + 1)?;
    bytes.pop();
    let text = text_of(&bytes).map_or(BlobAnswer::Other, BlobAnswer::Text);
    Ok(Some((blob.to_owned(), text)))
}

/// What bytes say, in whatever encoding an editor wrote them; none where they are no text.
fn text_of(bytes: &[u8]) -> Option<Zeroizing<String>> {
    if let Some(text) = files::from_utf16(bytes) {
        return Some(text);
    }
    // As Git itself recognises text.
    (!bytes.contains(&0)).then(|| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}
