//! Names that are text to HA and must not be mistaken for each other. They are short and copied often,
//! which costs no allocation.

/// `1 file`, `2 files`, `2 entries`.
pub fn counted(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {what}s"),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text with a meaning of its own; how one is made is said beside it.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(#[schemars(with = "String")] smol_str::SmolStr);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// As people may see it: hidden characters are escaped. For data there is `as_str`.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&crate::model::Visible::visible(self.0.as_str()))
            }
        }
    };
}

pub(super) use text_type;

/// One that may be any text.
macro_rules! any_text {
    ($(#[$doc:meta])* $name:ident) => {
        text_type! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// Wraps the text.
            pub fn new(text: impl Into<smol_str::SmolStr>) -> Self {
                Self(text.into())
            }
        }
    };
}

any_text! {
    /// An integration's name, as in `spotify`.
    Domain
}
any_text! {
    /// The OAuth2 client id, which is no secret.
    ClientId
}
any_text! {
    /// Home Assistant's id of a credential: a slug of domain and client id, reused after a delete.
    CredentialId
}
any_text! {
    /// HA's id of a config entry (a linked account).
    EntryId
}
any_text! {
    /// HA's id of a config flow.
    FlowId
}
any_text! {
    /// What a report calls a file.
    FileName
}
any_text! {
    /// A target's name in the project file.
    TargetName
}
