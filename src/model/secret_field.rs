//! Which fields of manifests and of the project file hold secrets. This is the only list of them.

/// A field whose value may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretField {
    /// The key at the top of the file. The field is in the mapping below it, or in one of the mappings
    /// of the list or mapping below it.
    pub section: &'static str,
    /// The field's own key.
    pub name: &'static str,
    /// Whether its value is a mapping, each value of which may be a secret.
    pub is_mapping: bool,
    /// Whether its value may be in plain text.
    pub plain_text: PlainText,
}

/// Whether a value may be in plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainText {
    /// It may not, unless the project allows it.
    Refused,
    /// It may, but it is treated as a secret: `encrypt` encrypts it.
    Accepted,
    /// It may; it is a secret only where somebody encrypted it.
    Usual,
}

/// An OAuth2 client id.
pub const CLIENT_ID: SecretField = SecretField {
    section: "application_credentials",
    name: "client_id",
    is_mapping: false,
    plain_text: PlainText::Usual,
};

/// An OAuth2 client secret.
pub const CLIENT_SECRET: SecretField = SecretField {
    section: "application_credentials",
    name: "client_secret",
    is_mapping: false,
    plain_text: PlainText::Refused,
};

/// The access token of a target.
pub const TOKEN: SecretField = SecretField {
    section: "targets",
    name: "token",
    is_mapping: false,
    plain_text: PlainText::Refused,
};

/// The headers that a target is sent: some are names, some are passwords.
pub const HEADERS: SecretField = SecretField {
    section: "targets",
    name: "headers",
    is_mapping: true,
    plain_text: PlainText::Accepted,
};

/// The key of a target's client certificate: a path, or the key itself.
pub const CLIENT_KEY: SecretField = SecretField {
    section: "targets",
    name: "client_key",
    is_mapping: false,
    plain_text: PlainText::Usual,
};

/// The proxy of a target, which may ask for a password.
pub const PROXY: SecretField = SecretField {
    section: "targets",
    name: "proxy",
    is_mapping: false,
    plain_text: PlainText::Usual,
};

/// The address of a webhook: whoever knows it can post there.
pub const WEBHOOK: SecretField = SecretField {
    section: "notify",
    name: "webhook",
    is_mapping: false,
    plain_text: PlainText::Accepted,
};

/// The headers that a webhook is sent.
pub const WEBHOOK_HEADERS: SecretField = SecretField {
    section: "notify",
    name: "headers",
    is_mapping: true,
    plain_text: PlainText::Accepted,
};

/// All of them.
pub const SECRET_FIELDS: &[SecretField] =
    &[CLIENT_ID, CLIENT_SECRET, TOKEN, HEADERS, CLIENT_KEY, PROXY, WEBHOOK, WEBHOOK_HEADERS];

impl SecretField {
    /// As messages call one value of it.
    pub fn noun(&self) -> &'static str {
        if self.is_mapping { self.name.trim_end_matches('s') } else { self.name }
    }
}
