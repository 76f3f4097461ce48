//! The codes of what a plan withholds.

codes! {
    /// Why something is not done.
    WithheldCode {
        /// Linked accounts use it.
        InUse = "in_use",
        /// Linked accounts that could not be read may use it.
        UnreadAccounts = "unread_accounts",
        /// Somebody else made a credential for this client.
        Foreign = "foreign",
        /// Several credentials were made by hand, and the entry does not say which it takes.
        SeveralByHand = "several_by_hand",
        /// The entry may have had any of several keys that no entry has.
        SeveralRenamed = "several_renamed",
        /// An account is linked under the entry's key with a client that another entry has now.
        ReusedName = "reused_name",
        /// An account is linked under the entry's key with another client, and the entry had another key.
        ReusedKey = "reused_key",
        /// It has a mark that cannot be read.
        UnreadableMark = "unreadable_mark",
        /// Several owners have claimed it, this one too.
        Disputed = "disputed",
        /// Another entry of this owner has it.
        OtherEntry = "other_entry",
        /// Another owner manages it.
        OtherOwner = "other_owner",
        /// One of the same key and client is of another owner.
        OwnerDiffers = "owner_differs",
        /// An account uses one of the same key, of a previous owner and for another client.
        PreviousOwner = "previous_owner",
        /// What an account names may be of any of several entries.
        SeveralEntries = "several_entries",
        /// Nothing says that it is of this owner.
        NotOwned = "not_owned",
        /// The integration's set-up needs Home Assistant's integration `cloud`.
        NeedsCloud = "needs_cloud",
        /// The integration uses a client of its own, whatever the credential says.
        IgnoresClient = "ignores_client",
        /// A linked account would be removed that may be linked through Home Assistant Cloud.
        MayBeCloud = "may_be_cloud",
        /// Several linked accounts may be the one that the entry names.
        SeveralAccounts = "several_accounts",
        /// Home Assistant links one account only of the integration.
        OneAccount = "one_account",
        /// It is protected.
        Protected = "protected",
        /// The entry is suspended.
        Suspended = "suspended",
        /// A watcher changes something only in windows, and none is open.
        OutsideWindows = "outside_windows",
        /// The waves before that of the target are not done.
        EarlierWave = "earlier_wave",
        /// The policy says to delete nothing.
        PruneOff = "prune_off",
        /// More deletes than the policy allows.
        TooManyDeletes = "too_many_deletes",
        /// No entry is left.
        NothingDesired = "nothing_desired",
        /// Its entry is for other targets, which are chosen by what this target almost is, or in a file that is not read.
        LostBySlip = "lost_by_slip",
        /// An entry that could not be read or planned may want it.
        Unread = "unread",
        /// An entry whose client id is not known may want it.
        Unidentified = "unidentified",
        /// Manifests are empty or missing, as after an accident.
        Emptied = "emptied",
        /// The target has no such integration.
        UnknownIntegration = "unknown_integration",
        /// What must be done before it is not selected.
        NotSelected = "not_selected",
    }
}
