//! What a provider says of a client.

/// What a provider says of a client. No text in it holds the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientAnswer {
    /// It was not asked.
    #[default]
    NotAsked,
    /// It accepts client id and secret.
    Accepted,
    /// It rejects them, with these words.
    Rejected(String),
    /// Nothing follows from its answer, or none came: why.
    Unclear(String),
}
