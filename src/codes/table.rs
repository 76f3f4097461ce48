//! The table of which each kind of code is made.

/// A code with spaces for its underscores.
pub(super) const fn spaced<const LENGTH: usize>(code: &str) -> [u8; LENGTH] {
    let mut bytes = [b' '; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        if code.as_bytes()[at] != b'_' {
            bytes[at] = code.as_bytes()[at];
        }
        at += 1;
    }
    bytes
}

/// Each variant has its code and, where people read more than that with spaces, its words.
macro_rules! codes {
    (@words $code:literal) => {{
        const WORDS: &[u8] = &crate::codes::table::spaced::<{ $code.len() }>($code);
        const {
            match std::str::from_utf8(WORDS) {
                Ok(words) => words,
                Err(_) => panic!("a code is ASCII"),
            }
        }
    }};
    (@words $code:literal $words:literal) => { $words };
    ($($(#[$about:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $code:literal $(: $words:literal)?,)+
    })+) => {$(
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As programs read it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// As people read it.
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => codes!(@words $code $($words)?),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}
