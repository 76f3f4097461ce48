//! The codes that programs read: one table for the JSON reports, their schemas, the metrics and the
//! formats of CI systems. A leaf.

#[macro_use]
mod table;

mod change;
mod check;
mod event;
mod problem;
mod provider;
mod withheld;

pub use change::ChangeCode;
pub use check::{CheckCode, HealthCode};
pub use event::EventCode;
pub use problem::ProblemCode;
pub use provider::{ClientCode, RegistrationCode, VerdictCode};
pub use withheld::WithheldCode;

codes! {
    /// What a step does.
    ActionCode {
        /// A credential is created.
        Create = "create",
        /// A credential is created and those that it replaces are deleted.
        Replace = "replace",
        /// A credential made by hand is taken over.
        Adopt = "adopt",
        /// A credential takes the place of one made by hand that is in use.
        Shadow = "shadow",
        /// The mark of the owner is kept beside a credential that carries none.
        Claim = "claim",
        /// A credential is deleted.
        Delete = "delete",
        /// An account is linked.
        SetUp = "set_up",
        /// A linked account gets consent again.
        LinkAgain = "link_again",
        /// A linked account that does not run is reloaded.
        Reload = "reload",
        /// It is recorded that linked accounts are removed with the entry.
        SetDeletePolicy = "set_delete_policy",
        /// It is recorded that they are not.
        ClearDeletePolicy = "clear_delete_policy",
        /// It is recorded which linked account is the one that an entry names.
        NoteAccount = "note_account",
        /// A linked account is removed that its entry no longer names.
        RemoveAccount = "remove_account",
        /// A config flow that nobody needs is aborted.
        Abandon = "abandon",
    }

    /// Why a step is done.
    ReasonCode {
        /// The target has no such credential of this owner.
        NotObserved = "not_observed",
        /// The target has no such credential, and none of this client that the entry could take over, as it asks;
        /// an account uses another one of the integration that nobody manages.
        NothingToAdopt = "nothing_to_adopt",
        /// The target had one, and somebody has deleted it there.
        DeletedThere = "deleted_there",
        /// The client secret differs.
        SecretDiffers = "secret_differs",
        /// The client secret was encrypted again since it was last compared.
        SecretReencrypted = "secret_reencrypted",
        /// The client id differs.
        ClientIdDiffers = "client_id_differs",
        /// The name differs.
        NameDiffers = "name_differs",
        /// No entry declares it.
        NotDesired = "not_desired",
        /// Its entry is for other targets.
        NotForTarget = "not_for_target",
        /// The entry is for another integration now.
        IntegrationDiffers = "integration_differs",
        /// A newer one of the same entry exists.
        Superseded = "superseded",
        /// It is in force over the one that the entry has, as after a change that was taken back.
        TakenBack = "taken_back",
        /// Its adoption was asked for.
        AdoptionAsked = "adoption_asked",
        /// No linked account uses what it shadowed now.
        LetGo = "let_go",
        /// What it claimed is gone, or has another claim.
        Unclaimed = "unclaimed",
        /// The entry has another key or owner now.
        Renamed = "renamed",
        /// An older version of appcred shadowed it.
        OldShadow = "old_shadow",
        /// A linked account names it by its id.
        ReferencedById = "referenced_by_id",
        /// No account is linked with it.
        NotSetUp = "not_set_up",
        /// No account is known to be linked with it, and one of the integration does not find its credential.
        PerhapsLinked = "perhaps_linked",
        /// Home Assistant asks for consent again.
        ConsentLost = "consent_lost",
        /// The linked account does not run, and its credential is right.
        AccountDown = "account_down",
        /// `on_delete` differs from what is recorded.
        OnDeleteDiffers = "on_delete_differs",
        /// It is not recorded which linked account it is.
        AccountNotNoted = "account_not_noted",
        /// The entry no longer names the account.
        AccountUndeclared = "account_undeclared",
        /// The linked account does not run although its credential is right, and its entry does not name it.
        UnnamedAccountDown = "unnamed_account_down",
        /// The set-up is no longer needed.
        LeftOver = "left_over",
    }

    /// How a step ended.
    OutcomeCode {
        /// All of it was done.
        Done = "done",
        /// It waits for a person.
        Waiting = "waiting",
        /// A part of it was done.
        Unfinished = "unfinished",
        /// It was tried and failed.
        Failed = "failed",
        /// It was not tried.
        NotBegun = "not_begun": "skipped",
    }

    /// What is not known of an entry.
    UnknownCode {
        /// Whether the target holds its secret.
        Secret = "secret_unknown",
        /// Which client it is for.
        ClientId = "client_id_unknown",
    }

    /// How a credential of a target compares with the manifests.
    CredentialCode {
        /// As its entry wants it.
        InSync = "in_sync",
        /// Not as its entry wants it.
        Differs = "differs",
        /// Of an entry, and it is not known whether as that wants it.
        Unknown = "unknown",
        /// Made by hand and in use; another one of its entry has replaced it.
        Shadowed = "shadowed",
        /// It names the owner of one that cannot.
        Claim = "claim",
        /// Left over beside a newer one of its entry.
        Superseded = "superseded",
        /// Of this owner, and no entry wants it.
        Undeclared = "undeclared",
        /// Of this owner, and kept although its entry is gone.
        Forgotten = "forgotten",
        /// Of another owner.
        OtherOwner = "other_owner": "another owner's",
        /// Of no owner.
        Foreign = "foreign",
        /// Wanted by an entry, and not there.
        Missing = "missing",
    }

    /// How a target holds the credential of an entry.
    EntryCode {
        /// As the entry wants it.
        InSync = "in_sync",
        /// Not as the entry wants it.
        Differs = "differs",
        /// Not at all.
        Missing = "missing",
        /// It was not created or changed, for a reason that is given.
        Withheld = "withheld",
        /// The entry is suspended: it stays as it is.
        Suspended = "suspended",
        /// The target was not seen since the entry was read.
        Unknown = "unknown": "not known yet",
    }

    /// What is due of a client, by the dates in its entry.
    DueCode {
        /// Its secret should be replaced.
        Rotation = "rotation",
        /// It expires soon.
        Expiring = "expiring",
        /// It has expired.
        Expired = "expired",
    }

    /// How far the integration of an entry is set up.
    SetupCode {
        /// No account is linked.
        NotSetUp = "not_set_up",
        /// A set-up was started; how far it is shows when it is carried on.
        InProgress = "in_progress",
        /// Somebody must consent.
        WaitingForConsent = "waiting_for_consent",
        /// The entry must answer what Home Assistant asks.
        WaitingForAnswers = "waiting_for_answers",
        /// An account is linked and runs.
        Loaded = "loaded": "linked",
        /// An account is linked and does not run.
        NotLoaded = "not_loaded": "linked, not running",
        /// An account is linked through Home Assistant Cloud.
        Cloud = "cloud",
        /// Home Assistant asks for consent again.
        NeedsConsentAgain = "needs_consent_again",
        /// The set-up or the account has failed.
        Failed = "failed",
        /// The entry does not ask for one.
        NotWanted = "not_wanted",
    }

    /// Why an account does not run, as far as that is seen.
    CauseCode {
        /// Home Assistant is still starting.
        Starting = "starting",
        /// Somebody disabled it in Home Assistant.
        Disabled = "disabled",
        /// Home Assistant did not find its credential.
        CredentialMissing = "credential_missing",
        /// The provider no longer knows the client.
        ClientDeleted = "client_deleted",
        /// The client's secret has expired.
        SecretExpired = "secret_expired",
        /// The provider rejects client id or secret.
        WrongClient = "wrong_client",
        /// The provider accepts the client, and Home Assistant needs consent again.
        ConsentLost = "consent_lost",
        /// Home Assistant needs consent again, and it is not known whether the client is right.
        ClientUnproven = "client_unproven",
        /// The provider limits requests.
        TooManyRequests = "too_many_requests",
        /// A package that the integration needs is missing.
        RequirementMissing = "requirement_missing",
        /// Home Assistant could not set it up, and tries again.
        TriedAgain = "tried_again",
        /// Nothing that is seen says why.
        Unknown = "unknown",
    }

    /// The state of a target as a whole.
    TargetCode {
        /// It was not compared yet.
        Connecting = "connecting",
        /// As the manifests want it.
        InSync = "in_sync",
        /// No entry of it is selected to be watched.
        NothingSelected = "nothing_selected": "nothing is selected",
        /// As wanted, except for what waits for consent.
        WaitingForConsent = "waiting_for_consent",
        /// As wanted, except for what an entry must answer.
        WaitingForAnswers = "waiting_for_answers",
        /// Something is not as the manifests want it, and is not changed for now.
        Differs = "differs",
        /// The last round failed.
        Failed = "failed",
        /// It cannot be reached.
        Unreachable = "unreachable",
        /// It refuses the access token.
        TokenRefused = "token_refused",
        /// The access token is not an administrator's.
        NotAdministrator = "not_administrator": "not an administrator's token",
        /// The access token is missing, or this machine is refused.
        NoAccess = "no_access",
        /// Nothing is done there for now, as the project file says.
        Suspended = "suspended",
    }

    /// Whether a target can be reached.
    LinkCode {
        /// Not known yet.
        Connecting = "connecting",
        /// It can.
        Up = "up",
        /// It cannot.
        Down = "down",
        /// Not known, since the access token is missing or refused, or this machine is.
        NoAccess = "no_access",
        /// Not known, since nothing is done there for now.
        Suspended = "suspended",
    }

    /// What is done about differences.
    ModeCode {
        /// They are repaired.
        Repair = "repair",
        /// Those that no manifest caused are reported, the others are repaired.
        ReportDrift = "report_drift",
        /// They are reported.
        Report = "report",
    }

    /// What a field of a form takes.
    TakesCode {
        /// One of the options.
        OneOf = "one_of",
        /// A list of options.
        ListOf = "list_of": "a list of",
        /// Text.
        Text = "text",
        /// A whole number.
        Integer = "integer": "a whole number",
        /// A number.
        Number = "number": "a number",
        /// True or false.
        Flag = "flag": "true or false",
        /// Something else that Home Assistant takes.
        Other = "other": "what Home Assistant takes",
    }

    /// How bad a problem is.
    SeverityCode {
        /// It stops something.
        Error = "error",
        /// Somebody should look.
        Warning = "warning",
    }
}

impl SetupCode {
    /// Whether nothing is to be done about it.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Loaded | Self::Cloud | Self::NotWanted)
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionCode, EntryCode, SetupCode};
    use crate::schema::of_output;

    #[test]
    fn a_code_is_what_serde_writes_and_the_schema_lists() {
        assert_eq!(serde_json::to_string(&ActionCode::SetUp).unwrap(), "\"set_up\"");
        assert_eq!(ActionCode::SetUp.to_string(), "set_up");
        let schema = of_output::<(EntryCode, SetupCode)>().to_value().to_string();
        for code in ["in_sync", "differs", "missing", "withheld", "unknown", "needs_consent_again"]
        {
            assert!(schema.contains(&format!("\"const\":\"{code}\"")), "{code}: {schema}");
        }
    }
}
