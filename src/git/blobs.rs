//! What old versions of files hold.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::GitError;
use super::command::{HISTORY, git, refused, within};
use super::limited::RunningGit;
use crate::files;

/// No manifest is larger.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// A hash, a kind and a size are shorter.
const LONGEST_HEAD: u64 = 1024;

/// Gives each blob that is text to `each`, one after the other; what is larger than any manifest is left out.
///
/// # Errors
/// Where git cannot be run or refuses, or does not have all of them.
pub(super) fn each_text(
    folder: &Path,
    blobs: &BTreeSet<&str>,
    mut each: impl FnMut(String, Zeroizing<String>),
) -> Result<(), GitError> {
    let asked: String = blobs.iter().flat_map(|blob| [blob, "\n"]).collect();
    let mut command = git(folder);
    command.args(["cat-file", "--batch"]);
    let not_ended = |why| GitError::not_ended(&command, why);
    let asked = files::inherited(asked.as_bytes()).map_err(|why| not_ended(why.into()))?;
    let running = RunningGit::start(&command, Some(&asked), within(HISTORY)).map_err(not_ended)?;
    let mut is_whole = true;
    let mut answers = BufReader::new(running);
    while let Some((blob, answer)) =
        next_answer(&mut answers).map_err(|why| not_ended(why.into()))?
    {
        match answer {
            BlobAnswer::Text(text) => each(blob, text),
            BlobAnswer::Other => {}
            BlobAnswer::Missing => is_whole = false,
        }
    }
    let (status, stderr) = answers.into_inner().end().map_err(not_ended)?;
    match status.success() {
        true if is_whole => Ok(()),
        true => Err(GitError::Incomplete),
        false => Err(refused(status, &stderr)),
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
    if answers.take(LONGEST_HEAD).read_line(&mut head)? == 0 {
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
