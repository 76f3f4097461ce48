//! Why something is done.

/// Why a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The target has no such credential.
    NotObserved,
    /// The target has no such credential, and of this client none that the entry could take over, as it asks; an
    /// account uses another one of the integration that nobody manages.
    NothingToAdopt,
    /// The target had one, and somebody has deleted it there.
    DeletedThere,
    /// The target has one of this client, and that is another owner's.
    BesideOtherOwner,
    /// The target has one of the entry's key and a previous owner that is of another client, and no account uses it: it may
    /// be another project's.
    BesidePreviousOwner,
    /// The secret is another one.
    SecretDiffers,
    /// The secret was encrypted again since it was last compared.
    SecretReencrypted,
    /// The client id is another one; linked accounts need consent again.
    ClientIdDiffers,
    /// The name is another one.
    NameDiffers,
    /// No entry wants it any more.
    NotDesired,
    /// Its entry is for other targets.
    NotForTarget,
    /// The entry of that key is for another integration now.
    IntegrationDiffers,
    /// A newer one of the same entry is there.
    Superseded,
    /// It is in force over the one that is right, as after a change that was taken back.
    TakenBack,
    /// It was made by hand, and taking it over was asked for.
    AdoptionAsked,
    /// No linked account uses what it shadowed any more.
    LetGo,
    /// What it claimed is gone or has another claim.
    Unclaimed,
    /// The entry had another key, as that is written.
    Renamed,
    /// The entry's owner had another name, as that is written.
    OwnerRenamed,
    /// The entry seems to have had another key: its client is the same, and no entry has that key.
    TakenForRenamed,
    /// An older version shadowed it, and wrote nowhere whose it is.
    OldShadow,
    /// A linked account names an id of the entry's client, where Home Assistant finds nothing.
    ReferencedById,
    /// No account is linked with it.
    NotSetUp,
    /// No account is known to be linked with it, and one of the integration does not find its credential: which that
    /// was HA does not say.
    PerhapsLinked,
    /// No account is linked of the name that the entry gives it.
    AccountNotLinked,
    /// HA asks for consent again.
    ConsentLost,
    /// The linked account does not run, and its credential is right.
    AccountDown,
    /// What the entry says of its linked accounts, for when it is gone, is not what is noted.
    OnDeleteDiffers,
    /// Which account it is shows its title alone, which may change.
    AccountNotNoted,
    /// The entry no longer names it.
    AccountUndeclared,
    /// The linked account does not run although its credential is right, and the entry does not name it.
    UnnamedAccountDown,
    /// It was started for a credential that is no longer wanted, or not as it was, or linked by now.
    LeftOver,
}
