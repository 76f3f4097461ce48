//! What cannot be the path of a file or folder on this machine: a placeholder, or a path of another machine.

use std::fmt;

use super::placeholder::{asks_for_value, is_marked, is_missing_name};

/// Why a text cannot be a path here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// It begins or ends with white space.
    Padded,
    /// It has a drive or backslashes.
    Windows,
    /// It begins with the name of a machine, or with a scheme.
    Remote,
    /// It is a placeholder.
    Unfilled,
}

impl PathFault {
    /// What is wrong with a text; none where it may be a path.
    pub fn of(text: &str, allow_placeholders: bool) -> Option<Self> {
        let first = text.split('/').next().unwrap_or(text);
        if text.trim() != text {
            return Some(Self::Padded);
        }
        if has_drive(text) || text.contains('\\') {
            return Some(Self::Windows);
        }
        // As `scp` and `rsync` read it. A folder here may have a colon after a slash.
        if first.contains(':') {
            return Some(Self::Remote);
        }
        (!allow_placeholders && is_placeholder(text)).then_some(Self::Unfilled)
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Padded => "remove it",
            Self::Windows => {
                "write the path under which this machine has it: that of a share is where it is mounted, as in `/mnt/ha`, and WSL has `C:\\` as `/mnt/c`"
            }
            Self::Remote => {
                "write the path under which this machine has it, or name the Home Assistant by its `url`; for a name that has a `:`, write `./` before it"
            }
            Self::Unfilled => {
                "write the path; if it is really called so, `allow_placeholders: true` in appcred.yaml accepts it"
            }
        }
    }
}

/// As the predicate of a sentence.
impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Padded => "has white space at its beginning or end",
            Self::Windows => "is a Windows path",
            Self::Remote => "is on another machine",
            Self::Unfilled => super::UNFILLED,
        })
    }
}

fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':'] | [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// Whether a part of a path is marked to be replaced, or all of it says that it is missing.
fn is_placeholder(text: &str) -> bool {
    let is_of_example = text.trim_start_matches('/').starts_with("path/to/");
    let is_one_name = !text.contains('/') && text.contains(|part: char| part.is_alphanumeric());
    is_of_example
        || text.split('/').any(|part| is_marked(part) || asks_for_value(part))
        || is_one_name && is_missing_name(text)
}

#[cfg(test)]
mod tests {
    use super::PathFault;

    #[test]
    fn what_is_no_path_of_this_machine_is_found() {
        for (fault, texts) in [
            (PathFault::Padded, &["ha ", " ha", "/srv/ha\t"][..]),
            (PathFault::Windows, &["C:\\ha", "c:/ha", "D:", "\\\\server\\share", "houses\\oslo"]),
            (PathFault::Remote, &["root@host:ha", "file:ha", "ha.local:/config", "nas:ha"]),
            (
                PathFault::Unfilled,
                &[
                    "%HADIR%",
                    "@ha@",
                    "__HA_DIR__",
                    "/srv/__HOUSE__/ha",
                    "changeme",
                    "TODO",
                    "YOUR_CONFIG_DIR",
                    "/home/your-user/ha",
                    "/path/to/ha",
                    "path/to/config",
                    "xxx",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(PathFault::of(text, false), Some(fault), "{text}");
                let allowed = (fault != PathFault::Unfilled).then_some(fault);
                assert_eq!(PathFault::of(text, true), allowed, "{text}");
            }
        }
    }

    #[test]
    fn a_path_is_taken_whatever_its_words_are() {
        for text in [
            ".",
            "..",
            "/",
            "~",
            "~/ha",
            "ha",
            "./a:b",
            "/srv/a:b",
            "/config",
            "home assistant",
            "example",
            "examples/house",
            "client",
            "secrets/token",
            "access_token",
            "client_key",
            "no",
            "0",
            "test",
            "my-house",
            "_ha_",
            "@eaDir",
            "/volume1/docker/homeassistant",
            "yourgrid/ha",
        ] {
            assert_eq!(PathFault::of(text, false), None, "{text}");
        }
    }
}
