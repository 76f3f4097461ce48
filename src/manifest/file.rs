//! Reading one file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::mask::mask;
use crate::diagnostic::{Diagnostic, ProblemCode, SourceFile, Span};
use crate::files::{self, Replaced, TEXT_LIMIT};
use crate::model::{Document, Visible, encrypted_file};

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let mut bytes =
        files::read(path, TEXT_LIMIT).map_err(|error| Box::new(unreadable(path, &error)))?;
    if let Some(kind) = encrypted_file(&bytes) {
        return Err(Box::new(encrypted(path, &kind)));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Arc::new(SourceFile::new(path.to_owned(), text, mask))),
        Err(error) => Err(Box::new(not_utf8(path, &error))),
    }
}

/// A file that is encrypted as a whole.
fn encrypted(path: &Path, kind: &Document) -> Diagnostic {
    let message = format!("`{}` is {kind}, and is not read", path.visible());
    Diagnostic::error(ProblemCode::NotAManifest, message).help(
        "decrypt the file, and encrypt only the values in it with `appcred encrypt`; if `!file` names it, move it out of the folder of the manifests",
    )
}

/// A file or folder that could not be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let named = path.visible();
    if Errno::from_io_error(error) == Some(Errno::LOOP) {
        return Diagnostic::error(
            ProblemCode::SymlinkLoop,
            format!("`{named}` is a symbolic link that leads to itself"),
        )
        .help("remove the link, or point it at a file or folder");
    }
    if error.kind() == io::ErrorKind::FileTooLarge {
        let message = format!("`{named}`: {error}");
        return Diagnostic::error(ProblemCode::FileTooLarge, message)
            .help("split it into several files");
    }
    let code = match Replaced::of_error(error) {
        Some(Replaced::GitCrypt) => ProblemCode::GitCrypt,
        Some(Replaced::LfsPointer) => ProblemCode::LfsPointer,
        Some(Replaced::AnnexPointer) => ProblemCode::AnnexPointer,
        Some(_) => ProblemCode::NotUtf8,
        None => ProblemCode::Unreadable,
    };
    let why = files::reason(path, error);
    Diagnostic::error(code, format!("cannot read `{named}`: {why}"))
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let byte = bytes.get(at).copied().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let span = Span::of(&text, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
    let message = format!("this file is not UTF-8: byte {byte:#04x} at offset {at}");
    let file = Arc::new(SourceFile::new(path.to_owned(), text, mask));
    Diagnostic::error(ProblemCode::NotUtf8, message).at(&file, span).help("save it as UTF-8")
}
