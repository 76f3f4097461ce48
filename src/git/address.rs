//! Which repository, which of its commits and which of its folders: texts that become words of a command line, so
//! that nothing is taken that Git or ssh could take for an option or for a program.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use url::Url;

/// The address of a repository, which holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitUrl(String);

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With TLS.
    Https,
    /// Unprotected.
    Http,
    /// Through ssh.
    Ssh,
    /// On this machine.
    File,
}

impl FromStr for GitUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "write it as in https://host/me/house.git, ssh://git@host/me/house.git, git@host:me/house.git or /srv/house.git";
        if text.starts_with('-') || names_helper(text) || text.chars().any(is_odd) {
            return Err(format!("this is not the address of a repository: {wanted}"));
        }
        let known = match text.split_once("://") {
            Some(("https" | "http" | "ssh" | "file", _)) => is_safe(text)?,
            Some(_) => false,
            None => text.starts_with('/') || is_short(text),
        };
        if known { Ok(Self(text.to_owned())) } else { Err(wanted.to_owned()) }
    }
}

impl GitUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it is reached.
    pub fn transport(&self) -> Transport {
        match self.0.split_once("://") {
            Some(("https", _)) => Transport::Https,
            Some(("http", _)) => Transport::Http,
            Some(("file", _)) => Transport::File,
            None if self.0.starts_with('/') => Transport::File,
            _ => Transport::Ssh,
        }
    }

    /// Scheme, host and port, as a setting of Git for that server alone names it.
    pub(super) fn server(&self) -> String {
        Url::parse(&self.0).map_or(String::new(), |url| url.origin().ascii_serialization())
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an address is one that has no secret and nothing that ssh takes for an option.
fn is_safe(text: &str) -> Result<bool, String> {
    let Ok(url) = Url::parse(text) else { return Ok(false) };
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("an address is shown and logged, so it must hold no password or token: put that into a file and name it by --git-token-file".to_owned());
    }
    let is_web = matches!(url.scheme(), "https" | "http");
    if is_web && !url.username().is_empty() {
        return Err("give the user by --git-user and leave it out of the address".to_owned());
    }
    let is_option = |part: &str| part.starts_with('-') || part.starts_with("%2d");
    let host = url.host_str().unwrap_or_default();
    let has_host = url.scheme() == "file" || !host.is_empty();
    let has_path = !url.path().trim_matches('/').is_empty();
    Ok(has_host && has_path && !is_option(host) && !is_option(url.username()))
}

/// Whether this is ssh's short form, as in `git@host:me/house.git`.
fn is_short(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else { return false };
    let (user, host) = host.rsplit_once('@').unwrap_or(("git", host));
    let is_name =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.contains(['/', '@', ' ']);
    is_name(user) && is_name(host) && !path.is_empty() && !path.starts_with('-')
}

fn is_odd(character: char) -> bool {
    character.is_control() || character.is_whitespace() || character == '\\'
}

/// A branch, a tag, or the whole id of a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitRef(String);

impl FromStr for GitRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What `git check-ref-format` forbids, and what begins an option or a forced refspec.
        let is_taken = |c: char| c.is_control() || " ~^:?*[\\+".contains(c);
        let is_ref = !text.is_empty()
            && !text.starts_with(['-', '/', '.'])
            && !text.ends_with(['/', '.'])
            && !text.ends_with(".lock")
            && !["..", "//", "@{", "/."].iter().any(|part| text.contains(part))
            && !text.contains(is_taken);
        if is_ref {
            Ok(Self(text.to_owned()))
        } else {
            Err("write the name of a branch or tag, or the whole id of a commit")
        }
    }
}

impl Default for GitRef {
    /// The branch that the server gives who asks for none.
    fn default() -> Self {
        Self("HEAD".to_owned())
    }
}

impl GitRef {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether none was asked for.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What it may be on a server, best first: a branch comes before a tag of the same name, whoever has made that.
    pub(super) fn full_names(&self) -> Vec<String> {
        let name = self.as_str();
        let is_id = name.len() >= 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id || name == "HEAD" || name.starts_with("refs/") {
            return vec![name.to_owned()];
        }
        ["heads", "tags"].map(|kind| format!("refs/{kind}/{name}")).into()
    }
}

/// A folder in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitPath(PathBuf);

impl FromStr for GitPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut path = PathBuf::new();
        for part in Path::new(text).components() {
            match part {
                Component::Normal(name) if name != ".git" => path.push(name),
                Component::CurDir => {}
                _ => return Err("name a folder of the repository, from its root"),
            }
        }
        Ok(Self(path))
    }
}

impl GitPath {
    /// From the root of the repository; empty where it is the root.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// Whether Git would run a program named after what is before `::`.
fn names_helper(text: &str) -> bool {
    let is_name = |name: &str| !name.contains(['/', '[', '@']);
    text.split_once("::").is_some_and(|(before, _)| is_name(before))
}

#[cfg(test)]
mod tests {
    use super::{GitPath, GitRef, GitUrl, Transport};

    #[test]
    fn only_addresses_of_repositories_are_taken() {
        for (text, transport) in [
            ("https://git.example/me/house.git", Transport::Https),
            ("http://gitea.lan:3000/me/house", Transport::Http),
            ("ssh://git@git.example:2222/me/house.git", Transport::Ssh),
            ("git@git.example:me/house.git", Transport::Ssh),
            ("https://[fd00::1]:3000/me/house.git", Transport::Https),
            ("ssh://git@[::1]/srv/house", Transport::Ssh),
            ("git@[::1]:srv/house", Transport::Ssh),
            ("house:me", Transport::Ssh),
            ("file:///srv/house.git", Transport::File),
            ("/srv/house.git", Transport::File),
        ] {
            assert_eq!(text.parse::<GitUrl>().unwrap().transport(), transport, "{text}");
        }
        for text in [
            "--upload-pack=touch x",
            "-oProxyCommand=x:y",
            "ext::sh -c x",
            "ext::sh",
            "git://git.example/house",
            "ftp://git.example/house",
            "ssh://-oProxyCommand=x/y",
            "ssh://-x@host/y",
            "a@-oProxyCommand=x:y",
            "host:-x",
            "https://git.example",
            "https://me@git.example/house",
            "https://me:hush@git.example/house",
            "https://git.example/house?token=hush",
            "https://git.example/a b",
            "https://git.example/a\nb",
            "house",
            "../house",
            "",
        ] {
            let refused = text.parse::<GitUrl>().unwrap_err();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn a_ref_is_no_option_and_no_refspec() {
        for text in ["main", "release/2026", "v1.2", "refs/heads/main", "HEAD"] {
            assert_eq!(text.parse::<GitRef>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "-x",
            "--upload-pack=x",
            "+main",
            "a:b",
            "a b",
            "a..b",
            "main^",
            "*",
            "x.lock",
            "@{1}",
        ] {
            assert!(text.parse::<GitRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_folder_is_inside_of_the_repository() {
        assert_eq!(
            "./houses/cabin/".parse::<GitPath>().unwrap().as_path().to_str(),
            Some("houses/cabin")
        );
        for text in ["..", "a/../..", "/etc", ".git", "a/.git"] {
            assert!(text.parse::<GitPath>().is_err(), "{text}");
        }
    }
}
