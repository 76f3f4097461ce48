//! The codes of problems.

codes! {
    /// What kind of problem it is.
    ProblemCode {
        /// An age text has lost its line breaks.
        AgeFolded = "age-folded",
        /// A YAML alias is inside the value that it refers to.
        AliasInItself = "alias-in-itself",
        /// This cannot be the domain of an integration.
        BadDomain = "bad-domain",
        /// `max_deletes`, or `max` of a wave, is neither a number nor a percentage.
        BadLimit = "bad-limit",
        /// The YAML merge key `<<` has a value that cannot be merged.
        BadMerge = "bad-merge",
        /// This cannot be a key, or the name of an owner or target.
        BadName = "bad-name",
        /// `notify` names an unknown recipient.
        BadNotify = "bad-notify",
        /// This is not an age recipient.
        BadRecipient = "bad-recipient",
        /// This is not an address that can be used.
        BadUrl = "bad-url",
        /// A value is not what the field takes.
        BadValue = "bad-value",
        /// An entry names an account twice.
        DuplicateAccount = "duplicate-account",
        /// Two entries of one integration have the same client id.
        DuplicateClient = "duplicate-client",
        /// Two entries have the same key.
        DuplicateEntryKey = "duplicate-entry-key",
        /// Two entries name the same former key.
        DuplicateFormerKey = "duplicate-former-key",
        /// Two entries are of an integration that uses one credential alone.
        OneInForce = "one-in-force",
        /// A YAML mapping has a key twice.
        DuplicateKey = "duplicate-key",
        /// The project encrypts to the same recipient twice.
        DuplicateRecipient = "duplicate-recipient",
        /// Two files of secrets have the same name in them.
        DuplicateSecret = "duplicate-secret",
        /// Two targets are the same Home Assistant.
        DuplicateTarget = "duplicate-target",
        /// A manifest has no list of entries.
        EmptyManifest = "empty-manifest",
        /// The project file, or a file of targets, says nothing.
        EmptyProject = "empty-project",
        /// A YAML tag has no name behind it.
        EmptyTag = "empty-tag",
        /// A value is empty.
        EmptyValue = "empty-value",
        /// A client has expired.
        Expired = "expired",
        /// A client expires soon.
        Expiring = "expiring",
        /// A manifest is larger than the limit.
        FileTooLarge = "file-too-large",
        /// A file is locked by git-crypt.
        GitCrypt = "git-crypt",
        /// A value has a character that cannot be seen.
        HiddenCharacter = "hidden-character",
        /// An age identity cannot be used.
        Identity = "identity",
        /// An age identity was given where the path of one belongs.
        IdentityAsPath = "identity-as-path",
        /// An age identity was given as a recipient.
        IdentityAsRecipient = "identity-as-recipient",
        /// Git tracks an age identity.
        IdentityInRepository = "identity-in-repository",
        /// A key of a YAML mapping is a list or a mapping.
        KeyNotText = "key-not-text",
        /// A file is a Git LFS pointer, not its content.
        LfsPointer = "lfs-pointer",
        /// A file is a git-annex pointer, not its content.
        AnnexPointer = "annex-pointer",
        /// The project file has several YAML documents.
        ManyDocuments = "many-documents",
        /// A project file that a watcher has read is gone.
        MissingProject = "missing-project",
        /// A merge of Git was left unresolved.
        MergeConflict = "merge-conflict",
        /// A file has almost the name of the project file.
        MisnamedProject = "misnamed-project",
        /// A field is missing.
        MissingField = "missing-field",
        /// A file of secrets does not have a name.
        MissingSecret = "missing-secret",
        /// A field has no value.
        MissingValue = "missing-value",
        /// There is no history of Git to search.
        NoHistory = "no-history",
        /// The home folder is not known.
        NoHome = "no-home",
        /// No key can be made from a name.
        NoKey = "no-key",
        /// No manifest was found.
        NoManifest = "no-manifest",
        /// An entry is for no target.
        NoTarget = "no-target",
        /// The file has another form than a manifest.
        NotAManifest = "not-a-manifest",
        /// A secret is not encrypted to all of the project's recipients.
        NotToAllRecipients = "not-to-all-recipients",
        /// A secret is not encrypted to any of the project's recipients.
        NotToRecipients = "not-to-recipients",
        /// A file is not UTF-8 text.
        NotUtf8 = "not-utf8",
        /// A value begins or ends with white space.
        PaddedValue = "padded-value",
        /// Git tracks a file of secrets in plain text.
        PlainFileInRepository = "plain-file-in-repository",
        /// A secret is in plain text.
        PlainSecret = "plain-secret",
        /// A secret was committed in plain text.
        PlainSecretInHistory = "plain-secret-in-history",
        /// A key that the policy names is not what it is taken for.
        PolicyKey = "policy-key",
        /// A project that was fetched names a program, which is not allowed here.
        ProgramNotAllowed = "program-not-allowed",
        /// A provider allows a client less than what the targets hold.
        ProviderLimit = "provider-limit",
        /// A YAML tag is in quotes, which makes it text.
        QuotedTag = "quoted-tag",
        /// Git could not be asked about the repository.
        RepositoryNotChecked = "repository-not-checked",
        /// The secret of an entry is to be replaced.
        RotationDue = "rotation-due",
        /// A value is encrypted by SOPS where that cannot be decrypted.
        SopsValue = "sops-value",
        /// A mounted folder has since been replaced.
        StaleMount = "stale-mount",
        /// A target is suspended.
        SuspendedTarget = "suspended-target",
        /// A symbolic link leads to a folder that contains it.
        SymlinkLoop = "symlink-loop",
        /// A secret is encrypted to more recipients than the project's.
        ToStrangers = "to-strangers",
        /// YAML or folders are nested too deeply.
        TooDeep = "too-deep",
        /// A file has too many YAML documents.
        TooManyDocuments = "too-many-documents",
        /// YAML aliases expand to too many values.
        TooManyValues = "too-many-values",
        /// Versions of YAML disagree on what a value is.
        UnclearValue = "unclear-value",
        /// A YAML tag is not possible here.
        UnexpectedTag = "unexpected-tag",
        /// Fields do not go together.
        UnfitField = "unfit-field",
        /// A value has characters that OAuth2 does not allow.
        UnfitValue = "unfit-value",
        /// A YAML alias names no anchor.
        UnknownAlias = "unknown-alias",
        /// There is no such field.
        UnknownField = "unknown-field",
        /// There is no such integration.
        UnknownIntegration = "unknown-integration",
        /// No target has this label or this value of it, or no entry asks for it.
        UnknownLabel = "unknown-label",
        /// There is no such YAML tag.
        UnknownTag = "unknown-tag",
        /// The project has no such target.
        UnknownTarget = "unknown-target",
        /// A field does not take this word.
        UnknownWord = "unknown-word",
        /// A part of what is selected to be watched matches no entry.
        UnmatchedSelection = "unmatched-selection",
        /// A file cannot be read.
        Unreadable = "unreadable",
        /// Git's history cannot be read.
        UnreadableHistory = "unreadable-history",
        /// A secret cannot be read or decrypted.
        UnreadableSecret = "unreadable-secret",
        /// A value has the wrong type.
        WrongKind = "wrong-kind",
        /// The file is not valid YAML.
        YamlSyntax = "yaml-syntax",
    }
}
