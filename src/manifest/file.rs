//! Reading one file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::mask::mask;
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// How large a file may be.
pub(super) const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let bytes = read_bytes(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("`{}` is larger than {} MiB", path.display(), MAX_BYTES >> 20);
        let problem = Diagnostic::error("file-too-large", message);
        return Err(Box::new(problem.help("split it into several files")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(SourceFile::new(path.to_owned(), text, mask))),
        Err(error) => Err(Box::new(not_utf8(path, &error))),
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would be waited for without end.
    let data = std::fs::metadata(path)?;
    if !data.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // With room to find its end.
    let room = usize::try_from(data.len().min(MAX_BYTES)).unwrap_or_default() + 1;
    let mut bytes = Vec::with_capacity(room);
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file or folder that could not be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let named = path.display();
    if Errno::from_io_error(error) == Some(Errno::LOOP) {
        return Diagnostic::error(
            "symlink-loop",
            format!("`{named}` is a symbolic link that leads to itself"),
        )
        .help("remove the link, or point it at a file or folder");
    }
    let why = match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => {
            "it is a symbolic link to nothing".to_owned()
        }
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Diagnostic::error("unreadable", format!("cannot read `{named}`: {why}"))
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let byte = bytes.get(at).copied().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let span = Span {
        start: at,
        end: at + char::REPLACEMENT_CHARACTER.len_utf8(),
        line: count(before.matches('\n').count()),
        column: count(before[line_start..].chars().count()),
    };
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let message = if utf16 {
        "this file is UTF-16, not UTF-8".to_owned()
    } else {
        format!("this file is not UTF-8: byte {byte:#04x} at offset {at}")
    };
    let file = Arc::new(SourceFile::new(path.to_owned(), text, mask));
    Diagnostic::error("not-utf8", message).at(&file, span).help("save it as UTF-8")
}
