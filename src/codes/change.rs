//! The codes of what verbs change.

codes! {
    /// What a verb has changed.
    ChangeCode {
        /// A file of the project was made, or lines were added to it.
        FileWritten = "file_written",
        /// An age identity was made.
        IdentityCreated = "identity_created",
        /// An entry was added to a manifest.
        EntryAdded = "entry_added",
        /// An entry was removed from its manifest.
        EntryRemoved = "entry_removed",
        /// An entry was removed from its manifest, and its key noted in the project file: what targets hold of it stays.
        EntryForgotten = "entry_forgotten",
        /// An entry has another key.
        EntryRenamed = "entry_renamed",
        /// An entry has another client secret.
        SecretReplaced = "secret_replaced",
        /// Secrets that were in plain text are encrypted.
        SecretsEncrypted = "secrets_encrypted",
        /// Secrets are encrypted to other recipients.
        SecretsReencrypted = "secrets_reencrypted",
        /// A session was opened.
        SignedIn = "signed_in",
        /// A session was ended.
        SignedOut = "signed_out",
        /// An account was linked.
        AccountLinked = "account_linked",
    }
}
