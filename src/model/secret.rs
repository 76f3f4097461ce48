//! A secret that cannot be printed by accident.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A secret text: no `Display`, no `Serialize`, a redacted `Debug`, and wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over; white space at both ends goes, as it does in HA.
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(text.trim()))
    }

    /// What HA holds already, with the white space that it sends along.
    pub fn as_stored(text: &str) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself, for the target or the provider that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive)")
    }
}
