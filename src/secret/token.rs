//! Access tokens that a file holds or a program prints.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use super::program::{self, ProgramError};
use crate::files;
use crate::model::{Secret, ValueFault, Visible, day, may_be_token, value_fault};

/// No token is longer.
const MAX_BYTES: usize = 16 * 1024;
/// The header, the claims and the signature of a JWT.
const JWT_PARTS: usize = 3;
/// How a JWT begins: with `{"`.
const JWT: &str = "eyJ";
/// The algorithm of Home Assistant's signatures, and how long one is.
const ALGORITHM: &str = "HS256";
const SIGNATURE: usize = 43;
const MORE_THAN_A_TOKEN: &str = "holds more than an access token";

/// Why there is no token. None of it repeats what was read.
#[derive(Debug, Error)]
pub enum NoToken {
    /// The file cannot be read.
    #[error("cannot read {}: {why}", file.visible())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file is named by what could be the token.
    #[error(
        "the name of the file could be the token itself: write the path of a file that holds the token, with `./` in front if this is one"
    )]
    Itself,
    /// The program gives nothing.
    #[error("`{program}` {why}")]
    Program {
        /// The program.
        program: String,
        /// The reason.
        why: ProgramError,
    },
    /// It cannot be a token.
    #[error("the value from {name} {why}")]
    Unfit {
        /// The file or program.
        name: String,
        /// What is the matter.
        why: ValueFault,
    },
    /// Something else than one token.
    #[error("{name} {what}")]
    NotAToken {
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
    if file.to_str().is_some_and(may_be_token) {
        return Err(NoToken::Itself);
    }
    let fault = |error: std::io::Error| match error.kind() {
        ErrorKind::FileTooLarge => {
            NoToken::NotAToken { name: named(file), what: MORE_THAN_A_TOKEN }
        }
        _ => NoToken::File { file: file.into(), why: error.to_string() },
    };
    let bytes = files::read(file, MAX_BYTES as u64).map_err(fault)?;
    token(&bytes, || named(file))
}

fn named(file: &Path) -> String {
    format!("the file {}", file.visible())
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
    let output = program::output(program, arguments, folder, MAX_BYTES).await;
    let bytes = output.map_err(|why| NoToken::Program { program: program.to_owned(), why })?;
    token(&bytes, || format!("the output of `{program}`"))
}

/// The token in a text as people copy it: behind a byte order mark, in quotes, behind `Bearer`.
pub fn from_text(text: &str) -> Secret {
    let mut token = text.trim_start_matches('\u{feff}').trim();
    for mark in ['"', '\''] {
        let inner = token.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        token = inner.map_or(token, str::trim);
    }
    if let Some((word, rest)) = token.split_once(char::is_whitespace)
        && word.eq_ignore_ascii_case("bearer")
    {
        token = rest.trim();
    }
    Secret::new(token)
}

/// The token, where the text can be one: what Home Assistant refuses counts as a failed login.
///
/// # Errors
/// Where it is a document or a placeholder, or has what no token has: RFC 6750 says of what one consists.
pub fn checked(token: Secret, name: impl Fn() -> String) -> Result<Secret, NoToken> {
    let text = token.expose();
    if let Some(why) = value_fault(text, false) {
        return Err(NoToken::Unfit { name: name(), why });
    }
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let what = if text.contains(' ') {
        MORE_THAN_A_TOKEN
    } else if !text.bytes().all(is_of_token) {
        "has a quote, a comma or another character that no access token has"
    } else if text.contains("..") {
        "is shortened: it has dots in place of a part of the access token"
    } else if text.starts_with(JWT) && text.split('.').count() > JWT_PARTS {
        MORE_THAN_A_TOKEN
    } else if text.starts_with(JWT) && text.split('.').count() < JWT_PARTS {
        "is only a part of an access token, which has three parts with a dot between them"
    } else if text.starts_with("age1") {
        "is a recipient of age, and an access token of Home Assistant is needed"
    } else {
        return Ok(token);
    };
    Err(NoToken::NotAToken { name: name(), what })
}

/// Why Home Assistant would refuse a text that could be another server's token; none where it may accept it. The clock of
/// this machine may be wrong, so that this is no reason not to send it.
pub fn doubt(token: &Secret) -> Option<String> {
    if let Some(why) = other(token) {
        return Some(why.to_owned());
    }
    let end = end(token).filter(|end| *end < Timestamp::now())?;
    Some(format!("expired on {}", day(end)))
}

/// Why a text is not what Home Assistant makes, which is a JWT; none where it may be, or may be for another server.
pub fn other(token: &Secret) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let text = token.expose();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(
            "is no access token of Home Assistant, which begins with `eyJ` and has three parts with a dot between them",
        );
    }
    let [header, _, signature] = text.split('.').collect::<Vec<_>>()[..] else { return None };
    if !header.starts_with(JWT) {
        let why = "has something before the access token, which begins with `eyJ`";
        return header.contains(JWT).then_some(why);
    }
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok();
    let header = header.and_then(|header| serde_json::from_slice::<Header>(&header).ok());
    if header.is_none_or(|header| header.alg != ALGORITHM) {
        return Some("is the token of another program, and not signed as Home Assistant does it");
    }
    (signature.len() != SIGNATURE).then_some(
        "was not copied as a whole, or has more at its end: the last part of an access token has 43 characters",
    )
}

/// When an access token of Home Assistant ends. It is a JWT (RFC 7519), whose `exp` is in seconds; its signature is for Home
/// Assistant to check.
pub fn end(token: &Secret) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.expose().split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    Timestamp::from_second(serde_json::from_slice::<Claims>(&claims).ok()?.exp).ok()
}

fn token(bytes: &[u8], name: impl Fn() -> String) -> Result<Secret, NoToken> {
    let fault = |what| NoToken::NotAToken { name: name(), what };
    if bytes.len() > MAX_BYTES {
        return Err(fault(MORE_THAN_A_TOKEN));
    }
    let token = from_text(std::str::from_utf8(bytes).map_err(|_| fault("holds no text"))?);
    if token.expose().is_empty() {
        return Err(fault("is empty"));
    }
    checked(token, name)
}

#[cfg(test)]
mod tests {
    use super::{from_command, from_file, token};
    use crate::model::Secret;

    #[test]
    fn a_token_is_one_word() {
        let read = |text: &str| token(text.as_bytes(), || "it".to_owned());
        assert_eq!(read("  abc.def\r\n").unwrap().expose(), "abc.def");
        for copied in [
            "\u{feff}abc.def\n",
            "\"abc.def\"\n",
            "'abc.def'",
            "Bearer abc.def",
            "bearer   abc.def\n",
            "\u{feff}\"Bearer abc.def\"",
        ] {
            assert_eq!(read(copied).unwrap().expose(), "abc.def", "{copied:?}");
        }
        for text in ["", " \n"] {
            assert_eq!(read(text).unwrap_err().to_string(), "it is empty");
        }
        for text in ["two words", "abc.def # mine", "token abc.def", &"x".repeat(20_000)] {
            let said = read(text).unwrap_err().to_string();
            assert_eq!(said, "it holds more than an access token");
        }
        for text in ["abc.def,", "abc.def;", "(abc.def)", "abc\"def"] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.starts_with("it has a quote, a comma"), "{said}");
        }
        for text in ["eyJhbGci...", "eyJhbGci....x9k"] {
            assert!(read(text).unwrap_err().to_string().starts_with("it is shortened"));
        }
        for (text, why) in [
            ("eyJhbGciOiJIUzI1NiJ9", "it is only a part of an access token"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiAiYSI", "it is only a part of an access token"),
            ("age1qxyz", "it is a recipient of age"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.c2lneyJhbGciOiJIUzI1NiJ9.e30.c2ln", "it holds more"),
        ] {
            assert!(read(text).unwrap_err().to_string().starts_with(why), "{text}");
        }
        assert!(read("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiAiYSI.c2ln").is_ok());
        let said = read("two\nlines").unwrap_err().to_string();
        assert!(said.contains("is a text of several lines"), "{said}");
    }

    #[test]
    fn what_home_assistant_did_not_make_is_doubted() {
        let signature = "FIRdDzDtj1qVJQAd1xO7Y6lqnE8mYk5Pk5ZXYyXEYXo";
        let ours = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.{signature}");
        let other = |text: &str| super::other(&Secret::new(text));
        for text in [&ours, "token-of-another-server", "to.ken", "a.b.c"] {
            assert_eq!(other(text), None, "{text}");
        }
        for (text, why) in [
            ("2f0c9b7a9c2d4a55b7c1", "is no access token of Home Assistant"),
            (&format!("llat_{ours}"), "has something before the access token"),
            (&ours[..ours.len() - 9], "was not copied as a whole"),
            (&format!("{ours}x"), "was not copied as a whole"),
            // {"alg":"RS256","typ":"JWT"}
            (&format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.{signature}"), "is the token of"),
            ("eyJhbG.e30.c2ln", "is the token of another program"),
        ] {
            assert!(other(text).is_some_and(|said| said.starts_with(why)), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_token_is_read_where_it_has_one() {
        // {"iss": "a", "iat": 1000000000, "exp": 1315360000}
        let claims = "eyJpc3MiOiAiYSIsICJpYXQiOiAxMDAwMDAwMDAwLCAiZXhwIjogMTMxNTM2MDAwMH0";
        let end = |text: &str| super::end(&Secret::new(text)).map(|end| end.to_string());
        assert_eq!(end(&format!("a.{claims}.b")).unwrap(), "2011-09-07T01:46:40Z");
        for text in ["", "abc", "a..b", "a.e30.b", "a.b.c", &format!("a.{claims}=.b")] {
            assert_eq!(end(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let said = from_file("/nowhere/token".as_ref()).unwrap_err().to_string();
        assert_eq!(said, "cannot read /nowhere/token: there is no such file or folder");
    }

    #[test]
    fn what_is_no_token_is_named() {
        for (text, why) in [
            ("{\"access_token\": \"x\"}", "(the values are those of `access_token` in it)"),
            ("${HASS_TOKEN}", "is a placeholder"),
            ("your-long-lived-access-token", "is a placeholder"),
            ("op://home/ha/token", "of another program"),
            ("HASS_TOKEN=abc", "an environment variable with its name"),
            ("abc\u{200b}def", "hidden character U+200B"),
        ] {
            let said = token(text.as_bytes(), || "it".to_owned()).unwrap_err().to_string();
            assert!(said.starts_with("the value from it ") && said.contains(why), "{said}");
        }
    }

    #[tokio::test]
    async fn a_program_is_run_without_a_shell() {
        let run = async |words: &[&str]| {
            let arguments: Vec<_> = words[1..].iter().map(|word| (*word).to_owned()).collect();
            from_command(words[0], &arguments, "/usr".as_ref()).await.map_err(|why| why.to_string())
        };
        assert_eq!(run(&["echo", "~/x"]).await.unwrap().expose(), "~/x");
        let folder = run(&["pwd"]).await.unwrap();
        assert_eq!(folder.expose(), "/usr");
        assert_eq!(run(&["false"]).await.unwrap_err(), "`false` ended with exit status: 1");
        let missing = run(&["no-such-program"]).await.unwrap_err();
        assert!(missing.starts_with("`no-such-program` cannot be run: "), "{missing}");
        let endless = run(&["yes"]).await.unwrap_err();
        assert_eq!(endless, "the output of `yes` holds more than an access token");
    }
}
