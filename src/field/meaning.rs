//! What texts in the files mean.

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use smol_str::SmolStr;
use url::{Host, ParseError, Url};

use super::{FieldRefusal, Meaning, TEMPLATE};
use crate::diagnostic::ProblemCode;
use crate::integrations;
use crate::model::{
    AccountName, Domain, Key, NotifyAction, Owner, TargetName, has_zone, is_loopback, is_template,
    password_of_url,
};
use crate::secret::holds_identity;
use crate::secret::seal::{is_recipient, recipient_fault};

/// What keys, owners and names of targets are made of.
pub const NAME_HELP: &str =
    "a name consists of letters without accents, digits, `-`, `_` and `.`, at most 100 of them";

/// An integration's name, as HA writes it.
impl Meaning for Domain {
    const PATTERN: &'static str = "^[a-z0-9_]+$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.bytes().all(fits) {
            return Ok(Self::new(text));
        }
        let refusal =
            FieldRefusal::new(ProblemCode::BadDomain, "is not the name of an integration");
        Err(match integrations::meant(text) {
            Some(domain) => {
                let name = integrations::name(domain).unwrap_or_default();
                refusal.help(format!("write `{domain}`, which is the domain of {name}"))
            }
            None => refusal.help("it consists of `a` to `z`, digits and `_`, as in `home_connect`"),
        })
    }
}

impl Meaning for Key {
    const PATTERN: &'static str = "^[A-Za-z0-9._-]{1,100}$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Self::new(text).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadName, "is not a valid name").help(NAME_HELP)
        })
    }
}

impl Meaning for NotifyAction {
    const PATTERN: &'static str = r"^notify\.[a-z0-9_]+$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Self::new(text).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadNotify, "is not an action that notifies").help(
                "write it as in `notify.mobile_app_phone`; `notify.send_message` cannot be used",
            )
        })
    }
}

impl Meaning for Owner {
    const PATTERN: &'static str = Key::PATTERN;

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Self::new(text).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadName, "is not a valid name").help(NAME_HELP)
        })
    }
}

impl Meaning for AccountName {
    const PATTERN: &'static str = r"^\S(.{0,98}\S)?$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Self::new(text).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadName, "is not a valid name of an account").help(
                "it has 100 characters at most, none of them hidden, and no white space around it",
            )
        })
    }
}

/// Texts that may be anything.
macro_rules! any {
    ($($text:ty: $made:path),*) => {
        $(impl Meaning for $text {
            const PATTERN: &'static str = r"\S";

            fn of(text: &str) -> Result<Self, FieldRefusal> {
                Ok($made(text))
            }
        })*
    };
}

any!(String: String::from, SmolStr: SmolStr::new, TargetName: Self::new);

/// An address to which a path is added: no query, no fragment, and no slash at its end.
pub struct BaseUrl(
    /// The address.
    pub String,
);

impl Meaning for BaseUrl {
    const PATTERN: &'static str = r"^https?://[^\s?#@]+$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let url = web(text)?;
        if url.query().is_some() {
            return Err(FieldRefusal::new(ProblemCode::BadUrl, "cannot have a query"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// An endpoint of a provider, where secrets and codes pass, used unchanged.
pub struct TokenUrl(
    /// The address.
    pub String,
);

impl Meaning for TokenUrl {
    const PATTERN: &'static str = r"^https?://\S+$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let url = web(text)?;
        if url.scheme() != "https" && !is_loopback(&url) {
            let why = "must begin with `https://`, except on this machine";
            return Err(FieldRefusal::new(ProblemCode::BadUrl, why));
        }
        Ok(Self(url.into()))
    }
}

fn web(text: &str) -> Result<Url, FieldRefusal> {
    let refused = |why| Err(FieldRefusal::new(ProblemCode::BadUrl, why));
    if is_template(text) {
        return Err(FieldRefusal::new(ProblemCode::UnfitValue, TEMPLATE.0).help(TEMPLATE.1));
    }
    let Ok(url) = Url::parse(text) else {
        if has_zone(text) {
            let why = "has an address with a zone, as in `[fe80::1%eth0]`, which URLs cannot hold";
            let help = "write the name of that machine, or an address of it without a zone";
            return Err(FieldRefusal::new(ProblemCode::BadUrl, why).help(help));
        }
        if password_of_url(text).is_some() {
            return refused("cannot have a user or a password in it");
        }
        let why = why_no_url(text);
        return Err(without_scheme(FieldRefusal::new(ProblemCode::BadUrl, why), text));
    };
    if !matches!(url.scheme(), "http" | "https") {
        let why = "must begin with `http://` or `https://`";
        let refusal = FieldRefusal::new(ProblemCode::BadUrl, why);
        let of_web = |web| {
            format!(
                "write `{web}://` and no path after the host: appcred finds Home Assistant's WebSocket itself"
            )
        };
        return Err(match url.scheme() {
            "ws" => refusal.help(of_web("http")),
            "wss" => refusal.help(of_web("https")),
            _ => without_scheme(refusal, text),
        });
    }
    if !url.has_host() {
        return refused("names no host");
    }
    // Other programs take `192.168.1` for a name, or for another address.
    if let Some(Host::Ipv4(address)) = url.host()
        && !text.contains(&address.to_string())
    {
        return refused("has an IPv4 address of fewer than four numbers");
    }
    let is_unspecified = match url.host() {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_unspecified(),
        _ => false,
    };
    if is_unspecified {
        let why = "is an address for a server to listen on, not one to connect to";
        let help = "write the name or an address of that machine: `127.0.0.1` is this one";
        return Err(FieldRefusal::new(ProblemCode::BadUrl, why).help(help));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("cannot have a user or a password in it");
    }
    if url.fragment().is_some() {
        return refused("cannot have a `#`");
    }
    Ok(url)
}

/// What is wrong with a text that is no URL.
fn why_no_url(text: &str) -> &'static str {
    match Url::parse(text) {
        Err(ParseError::InvalidPort) => "has an invalid port: a port is a number up to 65535",
        Err(ParseError::InvalidIpv4Address) => {
            "has an invalid IPv4 address: it has four numbers up to 255"
        }
        Err(ParseError::InvalidIpv6Address) => {
            "has an invalid IPv6 address: it is written between `[` and `]`"
        }
        Err(ParseError::InvalidDomainCharacter) => "has a character that no host name can have",
        _ => "is not a URL, as in `https://ha.example:8123`",
    }
}

/// Says what is missing where that is the scheme alone, as in `ha.local:8123`.
fn without_scheme(refusal: FieldRefusal, text: &str) -> FieldRefusal {
    let is_address = Url::parse(&format!("http://{text}")).is_ok_and(|url| url.has_host());
    match is_address && !text.contains("//") {
        true => refusal.help("write `http://` before it, or `https://` where that is served there"),
        false => refusal,
    }
}

/// A number of days.
pub struct Days(
    /// So many.
    pub u16,
);

impl Meaning for Days {
    const PATTERN: &'static str = "^[0-9]{1,4}d$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let days = text.strip_suffix('d').filter(|days| days.len() <= 4);
        days.and_then(|days| days.parse().ok()).map(Self).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadValue, "is not a number of days, as in `14d`")
                .help("write a number up to 9999, and `d` behind it")
        })
    }
}

/// A number of seconds.
pub struct Seconds(
    /// So many.
    pub u16,
);

impl Meaning for Seconds {
    const PATTERN: &'static str = "^[1-9][0-9]{0,2}s$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let seconds = text.strip_suffix('s').filter(|seconds| seconds.len() <= 3);
        let seconds = seconds.and_then(|seconds| seconds.parse().ok()).filter(|all| *all > 0);
        seconds.map(Self).ok_or_else(|| {
            FieldRefusal::new(ProblemCode::BadValue, "is not a number of seconds, as in `30s`")
                .help("write a number from 1 to 999, and `s` behind it")
        })
    }
}

/// A time between two things.
pub struct Interval(
    /// To the second.
    pub SignedDuration,
);

impl Meaning for Interval {
    const PATTERN: &'static str = "^[0-9]{1,4}[smh]$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let units = [('s', 1), ('m', 60), ('h', 3_600)];
        let read = units.iter().find_map(|(unit, seconds)| {
            let number = text.strip_suffix(*unit).filter(|number| number.len() <= 4)?;
            let number: u16 = number.parse().ok()?;
            Some(Self(SignedDuration::from_secs(i64::from(number) * seconds)))
        });
        read.ok_or_else(|| {
            let why = "is not a time, as in `30s`, `10m` or `2h`";
            FieldRefusal::new(ProblemCode::BadValue, why)
                .help("write a number up to 9999, and `s`, `m` or `h` behind it")
        })
    }
}

/// A day of the week.
impl Meaning for Weekday {
    const PATTERN: &'static str = "^(mon|tue|wed|thu|fri|sat|sun)$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Ok(match text {
            "mon" => Self::Monday,
            "tue" => Self::Tuesday,
            "wed" => Self::Wednesday,
            "thu" => Self::Thursday,
            "fri" => Self::Friday,
            "sat" => Self::Saturday,
            "sun" => Self::Sunday,
            _ => {
                let refusal = FieldRefusal::new(ProblemCode::BadValue, "is not a day of the week");
                return Err(refusal.help("write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`"));
            }
        })
    }
}

/// A time of the day.
pub struct TimeOfDay(
    /// To the minute.
    pub Time,
);

impl Meaning for TimeOfDay {
    const PATTERN: &'static str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        let time = Time::strptime("%H:%M", text).ok().filter(|_| text.len() == 5);
        time.map(Self).ok_or_else(|| {
            let refusal = FieldRefusal::new(ProblemCode::BadValue, "is not a time of the day");
            refusal.help("write it as in \"02:00\", from \"00:00\" to \"23:59\"")
        })
    }
}

/// A time zone by its name, as this machine knows it.
impl Meaning for TimeZone {
    const PATTERN: &'static str = "^[A-Za-z][A-Za-z0-9_+/-]*$";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        Self::get(text).map_err(|_| {
            let why = "is not a time zone that this machine knows";
            FieldRefusal::new(ProblemCode::BadValue, why).help(
                "write it as in `Europe/Berlin` or `UTC`; they are in the package `tzdata` of the operating system",
            )
        })
    }
}

/// To whom secrets are encrypted.
pub struct Recipient(
    /// As it is written.
    pub String,
);

impl Meaning for Recipient {
    const PATTERN: &'static str = "^(age1|ssh-ed25519 |ssh-rsa )";

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        if holds_identity(text) || text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(FieldRefusal::new(
                ProblemCode::IdentityAsRecipient,
                "is an identity, which is secret, not a recipient",
            )
            .help(
                "remove it from this file and from the history of the repository; \
                 `age-keygen -y FILE` shows the recipient that belongs to it",
            ));
        }
        if is_recipient(text) {
            return Ok(Self(text.to_owned()));
        }
        let refusal = FieldRefusal::new(ProblemCode::BadRecipient, "is not an age recipient");
        Err(refusal.help(recipient_fault(text)))
    }
}

/// A file with an identity, which is not resolved yet.
pub struct IdentityPath(
    /// As it is written.
    pub String,
);

impl Meaning for IdentityPath {
    const PATTERN: &'static str = String::PATTERN;

    fn of(text: &str) -> Result<Self, FieldRefusal> {
        if holds_identity(text) {
            return Err(FieldRefusal::new(
                ProblemCode::IdentityAsPath,
                "is an identity, which is secret, not a path",
            )
            .help("move it into a file outside of the repository and name that here; if it was committed, make a new one"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, Meaning, TokenUrl};

    #[test]
    fn a_base_is_a_web_address_without_a_slash_at_its_end() {
        let read = |text: &str| BaseUrl::of(text).map(|url| url.0).ok();
        assert_eq!(read("https://ha.example:8123/").as_deref(), Some("https://ha.example:8123"));
        assert_eq!(read("http://10.0.0.2/ha/").as_deref(), Some("http://10.0.0.2/ha"));
        assert_eq!(read("http://[::1]:8123").as_deref(), Some("http://[::1]:8123"));
        assert_eq!(read("https://hä.example").as_deref(), Some("https://xn--h-0fa.example"));
        let zone = BaseUrl::of("http://[fe80::1%25eth0]:8123").err().unwrap();
        assert!(zone.why.contains("has an address with a zone"), "{zone:?}");
        for text in [
            "ha.example",
            "ftp://ha.example",
            "https://",
            "https://a:b@c",
            "https://c/?x",
            "https://c/#x",
            "localhost:8123",
            "http://0.0.0.0:8123",
            "http://[::]:8123",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_is_sent_over_https_or_to_this_machine() {
        let read = |text: &str| TokenUrl::of(text).map(|url| url.0).ok();
        let query = "https://p.example/token?v=2";
        assert_eq!(read(query).as_deref(), Some(query));
        assert!(read("http://127.0.0.1:8080/token").is_some());
        assert_eq!(read("http://p.example/token"), None);
    }
}
