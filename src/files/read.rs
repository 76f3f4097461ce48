//! Reading a whole file.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;

/// What is in a file in place of its own content. Nothing that appcred reads is ever like this, so every
/// reader refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}: {}", self.what(), self.help())]
pub enum Replaced {
    /// What git-crypt encrypted.
    GitCrypt,
    /// What Git LFS stores in the repository.
    LfsPointer,
    /// What git-annex has in place of a file that it did not fetch.
    AnnexPointer,
    /// Text as some Windows programs save it.
    Utf16,
    /// Text with four bytes for each character.
    Utf32,
    /// Anything that gzip packed.
    Gzip,
    /// An archive of ZIP.
    Zip,
    /// Anything that GPG encrypted, without armor.
    Gpg,
    /// Anything that `openssl enc` encrypted under a passphrase.
    OpenSsl,
    /// Zeros alone, as a file system has them for what was not written before the power failed.
    Zeros,
}

impl Replaced {
    const BEGINNINGS: [(&'static [u8], Self); 15] = [
        (b"\0GITCRYPT\0", Self::GitCrypt),
        (b"version https://git-lfs.github.com/spec/", Self::LfsPointer),
        (b"/annex/objects/", Self::AnnexPointer),
        // Before UTF-16, whose mark is the beginning of this one.
        (&[0xff, 0xfe, 0, 0], Self::Utf32),
        (&[0, 0, 0xfe, 0xff], Self::Utf32),
        (&[0x1f, 0x8b], Self::Gzip),
        (b"PK\x03\x04", Self::Zip),
        (&[0xff, 0xfe], Self::Utf16),
        (&[0xfe, 0xff], Self::Utf16),
        (b"Salted__", Self::OpenSsl),
        // A session key to a key of RSA or of a curve, and one to a passphrase (RFC 4880, RFC 9580).
        (&[0x85, 0x01], Self::Gpg),
        (&[0x85, 0x02], Self::Gpg),
        (&[0x84, 0x5e, 0x03], Self::Gpg),
        (&[0x8c, 0x0d, 0x04], Self::Gpg),
        (&[0xc3, 0x0d, 0x04], Self::Gpg),
    ];

    fn of(bytes: &[u8]) -> Option<Self> {
        let beginnings = Self::BEGINNINGS.iter();
        let found = beginnings.copied().find(|(start, _)| bytes.starts_with(start));
        // Two letters of ASCII in UTF-16, without its mark.
        let is_unmarked =
            matches!(bytes, [1..=127, 0, 1..=127, 0, ..] | [0, 1..=127, 0, 1..=127, ..]);
        let is_zeros = !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0);
        let found = found.map(|(_, found)| found).or(is_unmarked.then_some(Self::Utf16));
        found.or(is_zeros.then_some(Self::Zeros))
    }

    /// What is wrong with the file.
    pub fn what(self) -> &'static str {
        match self {
            Self::GitCrypt => "it is locked by git-crypt",
            Self::LfsPointer => "it is a Git LFS pointer",
            Self::AnnexPointer => "it is a git-annex pointer",
            Self::Utf16 => "it is UTF-16",
            Self::Utf32 => "it is UTF-32",
            Self::Gzip => "it is compressed by gzip",
            Self::Zip => "it is a ZIP archive",
            Self::Gpg => "it is encrypted by GPG",
            Self::OpenSsl => "it is encrypted by OpenSSL",
            Self::Zeros => "it has nothing but zero bytes, as after a power failure",
        }
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::GitCrypt => "unlock the repository with `git-crypt unlock`",
            Self::LfsPointer => {
                "fetch the file itself with `git lfs pull`; `--git` fetches no such file, so keep it in Git itself"
            }
            Self::AnnexPointer => {
                "fetch the file itself with `git annex get`; `--git` fetches no such file, so keep it in Git itself"
            }
            Self::Utf16 | Self::Utf32 => "save it as UTF-8",
            Self::Gzip => "unpack it with `gunzip`",
            Self::Zip => "unpack it with `unzip`",
            Self::Gpg | Self::OpenSsl => {
                "decrypt it, and encrypt its values with `appcred encrypt`, or a file of secrets with SOPS or age"
            }
            Self::Zeros => "restore it from a backup or from Git",
        }
    }

    /// Whether another clone of the repository may have the file itself.
    pub fn is_of_clone(self) -> bool {
        matches!(self, Self::GitCrypt | Self::LfsPointer | Self::AnnexPointer)
    }

    /// The one that an error of reading is about.
    pub fn of_error(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Reads a regular file of at most `limit` bytes. It is wiped from memory when dropped.
///
/// # Errors
/// Where it cannot be opened, is no regular file, is larger, or holds something in place of its content
/// ([`Replaced`]). The error says why.
pub fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    read_whole(path, limit).map_err(|error| match Replaced::of_error(&error) {
        Some(_) => error,
        None => in_words(path, &error),
    })
}

fn read_whole(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let bytes = read_unchecked(path, limit)?;
    match Replaced::of(&bytes) {
        Some(found) => Err(io::Error::new(ErrorKind::InvalidData, found)),
        None => Ok(bytes),
    }
}

/// The same as [`read`], whatever is in the file.
///
/// # Errors
/// Where it cannot be opened, is no regular file, or is larger.
pub fn read_unchecked(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let (mut file, metadata) = open(path)?;
    if !metadata.is_file() {
        return Err(not_regular(&metadata));
    }
    if metadata.len() > limit {
        return Err(too_large(limit));
    }
    read_bytes(&mut file, metadata.len(), limit)
}

/// The text of bytes in UTF-16; none where they do not begin with its mark.
pub fn from_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let unit = match bytes {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let characters =
        char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(Zeroizing::new(characters.collect()))
}

/// Reads a file of UTF-8 text.
///
/// # Errors
/// As [`read`], and where it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<Zeroizing<String>> {
    text(read(path, limit)?)
}

/// Reads text from standard input or another stream, to its end.
///
/// # Errors
/// Where it cannot be read, is longer than `limit` bytes, or is not UTF-8.
pub fn read_stream(stream: &mut impl Read, limit: u64) -> io::Result<Zeroizing<String>> {
    text(read_bytes(stream, limit, limit)?)
}

/// `None` where there is no such file.
///
/// # Errors
/// Every other error.
pub fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Opens a folder, which is not a symlink to one, as for locking it.
///
/// # Errors
/// Where it cannot be opened or is no folder.
pub fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Why a file could not be read or written.
pub fn reason(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => "it is a symbolic link to nothing".to_owned(),
        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        ErrorKind::PermissionDenied if error.get_ref().is_none() => "permission denied".to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            "its file system is mounted read-only: mount it for writing first".to_owned()
        }
        ErrorKind::IsADirectory if error.get_ref().is_none() => {
            "it is a folder, not a file".to_owned()
        }
        ErrorKind::StorageFull => "its file system is full".to_owned(),
        ErrorKind::ResourceBusy => {
            "it is in use, as a mount of a single file is: mount its folder instead".to_owned()
        }
        _ if is_loop(error) => "it is a symbolic link that leads to itself".to_owned(),
        ErrorKind::NotADirectory if path.is_file() => "it is not a folder".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is not a folder".to_owned(),
        _ => without_number(error),
    }
}

/// The same error with its reason for people.
pub(super) fn in_words(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), reason(path, error))
}

/// The error without the operating system's number for it.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Opens without waiting for whoever writes into a pipe, and without taking a terminal.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(opened) => {
            let file = File::from(opened);
            let metadata = file.metadata()?;
            Ok((file, metadata))
        }
        // A socket, or a device that is not there.
        Err(Errno::NXIO | Errno::NODEV) => Err(no_regular_file()),
        Err(error) => Err(error.into()),
    }
}

/// Reads a stream to its end, at most `limit` bytes. There is room from the start for as many as are
/// expected: a buffer that grows leaves copies.
///
/// # Errors
/// Where it cannot be read or is longer.
pub fn read_bytes(
    stream: &mut impl Read,
    expected: u64,
    limit: u64,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(expected).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    if std::str::from_utf8(&bytes).is_err() {
        return Err(match Replaced::of(&bytes) {
            Some(found) => io::Error::new(ErrorKind::InvalidData, found),
            None => io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"),
        });
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(io::Error::other)?;
    Ok(Zeroizing::new(text))
}

pub(super) fn not_regular(metadata: &Metadata) -> io::Error {
    if metadata.is_dir() {
        io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file")
    } else if metadata.is_symlink() {
        let why = "it is a symbolic link, which is not followed here: remove it";
        io::Error::new(ErrorKind::InvalidInput, why)
    } else {
        no_regular_file()
    }
}

fn no_regular_file() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")
}

/// Whether an error of reading says that nobody could read a text there: it is no regular file, far too large, or a link
/// that leads to itself.
pub fn is_no_text(error: &io::Error) -> bool {
    let is_of_kind = matches!(
        error.kind(),
        ErrorKind::IsADirectory | ErrorKind::InvalidInput | ErrorKind::FileTooLarge
    );
    is_of_kind || is_loop(error)
}

fn is_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

fn too_large(limit: u64) -> io::Error {
    let size = if limit < 1 << 20 {
        format!("{} KiB", limit >> 10)
    } else {
        format!("{} MiB", limit >> 20)
    };
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {size}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{Replaced, optional, read, read_stream, read_text};

    fn refused(path: &Path) -> String {
        read(path, 1024).unwrap_err().to_string()
    }

    #[test]
    fn a_regular_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "four").unwrap();
        assert_eq!(read(&file, 4).unwrap().as_slice(), b"four");
        assert_eq!(read(&file, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("a", &link).unwrap();
        assert_eq!(read_text(&link, 4).unwrap().as_str(), "four");
        assert!(optional(read(&folder.path().join("none"), 4)).unwrap().is_none());
    }

    #[test]
    fn what_another_program_put_in_place_of_the_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        for (bytes, found) in [
            (b"\0GITCRYPT\0x".as_slice(), Replaced::GitCrypt),
            (b"version https://git-lfs.github.com/spec/v1\noid x\n", Replaced::LfsPointer),
            (b"/annex/objects/SHA256E-s3--abc\n", Replaced::AnnexPointer),
            (b"\xff\xfea\0", Replaced::Utf16),
            (b"\xfe\xff\0a", Replaced::Utf16),
            (b"A\0G\0E\0", Replaced::Utf16),
            (b"\0A\0G\0E", Replaced::Utf16),
            (b"\xff\xfe\0\0a\0\0\0", Replaced::Utf32),
            (b"\0\0\xfe\xff\0\0\0a", Replaced::Utf32),
            (b"\x1f\x8b\x08\0", Replaced::Gzip),
            (b"PK\x03\x04\x14", Replaced::Zip),
            (b"Salted__\x01\xff", Replaced::OpenSsl),
            (b"\x85\x01\x0c\x03\xd1", Replaced::Gpg),
            (b"\x84\x5e\x03\xd1", Replaced::Gpg),
            (b"\x8c\x0d\x04\x09", Replaced::Gpg),
            (b"\0", Replaced::Zeros),
            (&[0; 400], Replaced::Zeros),
        ] {
            fs::write(&file, bytes).unwrap();
            let refused = read(&file, 1024).unwrap_err();
            assert_eq!(Replaced::of_error(&refused), Some(found));
            assert_eq!(refused.to_string(), found.to_string());
            assert_eq!(refused.kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&pipe, &socket, Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert_eq!(refused(path), "it is not a regular file", "{}", path.display());
        }
        assert_eq!(refused(folder.path()), "it is a folder, not a file");
    }

    #[test]
    fn a_file_without_an_end_is_read_up_to_its_limit() {
        // Says that it is a regular file of 0 bytes, and has more.
        assert_eq!(refused(Path::new("/proc/kallsyms")), "it is larger than 1 KiB");
        let short = read_stream(&mut b"hush".as_slice(), 2048).unwrap();
        assert!(short.capacity() > 2048, "it would grow, and leave copies");
        let error = read_stream(&mut std::io::repeat(b'x'), 2048).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 2 KiB");
    }

    #[test]
    fn what_is_not_utf8_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        for (bytes, said) in [
            (&b"\xff\xfea\0"[..], "it is UTF-16: save it as UTF-8"),
            (&b"\xc3("[..], "it is not UTF-8"),
        ] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(read_text(&file, 1024).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_reason_has_no_numbers_of_the_operating_system() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("link", &link).unwrap();
        let why = |path: &Path| read(path, 1).unwrap_err().to_string();
        assert_eq!(why(&link), "it is a symbolic link that leads to itself");
        assert_eq!(why(&folder.path().join("none")), "there is no such file or folder");
    }
}
