//! Addresses that a person wrote.

use url::{Host, Url};

/// An address to which a path is added: no query, no fragment. Comes back without a slash at its end.
pub(super) fn base(text: &str) -> Result<String, &'static str> {
    let url = web(text)?;
    if url.query().is_some() {
        return Err("cannot have a query");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address that a secret is sent to, used unchanged.
pub(super) fn endpoint(text: &str) -> Result<String, &'static str> {
    let url = web(text)?;
    if url.scheme() != "https" && !is_this_machine(&url) {
        return Err("must begin with `https://`, since the secret is sent there");
    }
    Ok(url.into())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn web(text: &str) -> Result<Url, &'static str> {
    let Ok(url) = Url::parse(text) else {
        return Err("is not a URL, as in `https://ha.example:8123`");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `http://` or `https://`");
    }
    if !url.has_host() {
        return Err("names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("cannot have a user or a password in it");
    }
    if url.fragment().is_some() {
        return Err("cannot have a `#`");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{base, endpoint};

    #[test]
    fn a_base_is_a_web_address_without_a_slash_at_its_end() {
        assert_eq!(base("https://ha.example:8123/"), Ok("https://ha.example:8123".to_owned()));
        assert_eq!(base("http://10.0.0.2/ha/"), Ok("http://10.0.0.2/ha".to_owned()));
        for text in [
            "ha.example",
            "ftp://ha.example",
            "https://",
            "https://a:b@c",
            "https://c/?x",
            "https://c/#x",
            "localhost:8123",
        ] {
            assert!(base(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_endpoint_may_have_a_query_and_may_be_told_a_secret() {
        assert_eq!(
            endpoint("https://p.example/token?v=2"),
            Ok("https://p.example/token?v=2".to_owned())
        );
        assert!(endpoint("http://127.0.0.1:8080/token").is_ok());
        assert!(endpoint("http://p.example/token").is_err());
    }
}
