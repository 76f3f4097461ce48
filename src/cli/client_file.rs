//! The JSON in which a provider's console hands out a client, as Google's `client_secret_….json`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Deserializer};

use crate::files::{self, TEXT_LIMIT};
use crate::model::Visible;

use super::console;

/// What such a file says of a client.
#[derive(Deserialize)]
pub(super) struct ClientFile {
    #[serde(alias = "clientId")]
    pub(super) client_id: String,
    #[serde(alias = "clientSecret", deserialize_with = "wiped")]
    pub(super) client_secret: Zeroizing<String>,
    /// Where the provider sends browsers back to; Google names them.
    redirect_uris: Option<Vec<String>>,
}

fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

/// Google puts it below the kind of the client.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(alias = "installed")]
    web: ClientFile,
}

impl ClientFile {
    /// # Errors
    /// Where the file cannot be read, or is none of that kind. No message repeats what is in it.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = files::read_text(file, TEXT_LIMIT)
            .with_context(|| format!("cannot read {}", file.visible()))?;
        match Self::parse(&text) {
            Some(client) => Ok(client),
            None => bail!(
                "{} is not JSON with a `client_id` and a `client_secret`, as a provider's console offers for download",
                file.visible()
            ),
        }
    }

    /// Where it names redirect URIs, these are all that are registered.
    pub(super) fn warn_of_unregistered<'u>(&self, wanted: impl Iterator<Item = &'u String>) {
        let Some(registered) = &self.redirect_uris else { return };
        let missing = wanted.filter(|uri| !registered.contains(uri));
        for uri in missing.collect::<BTreeSet<_>>() {
            console::warning(format_args!(
                "the provider's file does not list the redirect URI {uri}: register exactly that URI with the provider"
            ));
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let plain = serde_json::from_str(text);
        plain.or_else(|_| serde_json::from_str(text).map(|Wrapped { web }| web)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::ClientFile;

    #[test]
    fn a_client_is_read_in_the_forms_that_consoles_write() {
        let google = r#"{"web":{"client_id":"i","project_id":"p","auth_uri":"a","token_uri":"t","client_secret":"s","redirect_uris":["https://my.home-assistant.io/redirect/oauth"]}}"#;
        let desktop = r#"{"installed":{"client_id":"i","client_secret":"s","redirect_uris":["http://localhost"]}}"#;
        for text in [
            google,
            desktop,
            r#"{"client_id":"i","client_secret":"s"}"#,
            r#"{"clientId":"i","clientSecret":"s","name":"n"}"#,
            "\u{feff}{\"client_id\":\"i\",\"client_secret\":\"s\"}\r\n",
        ] {
            let client = ClientFile::parse(text).unwrap();
            assert_eq!((client.client_id.as_str(), client.client_secret.as_str()), ("i", "s"));
        }
        let uris = ClientFile::parse(google).unwrap().redirect_uris.unwrap();
        assert_eq!(uris, ["https://my.home-assistant.io/redirect/oauth"]);
        for text in
            ["", "[]", "{}", r#"{"web":{"client_id":"i"}}"#, r#"{"type":"service_account"}"#]
        {
            assert!(ClientFile::parse(text).is_none(), "{text}");
        }
    }
}
